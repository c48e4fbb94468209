/**
 * Names in networks. Each container of a network with names has a name server of its own at 127.0.0.11 (Docker's
 * address): sockets of this process inside the container's network namespace. So it needs no address of the subnet, no
 * port of the host, no rule of the host's firewall, works without any way out (internal networks), and knows
 * for sure who asks. It answers for all networks of the container, and asks elsewhere about all other names: the
 * servers the container was given, or the host's.
 */
import { unavailable } from '#api/errors/errors.ts'
import type { Logger } from '#api/log/log.ts'
import type { Redirect } from '#sdk/iptables-wrapper/open-firewall.ts'
import { readEgress } from '../egress/egress-list.ts'
import type { AttachmentRow, Ledger } from '../ledger.ts'
import { readOptions } from '../options.ts'
import { ContainerResolver } from './container-resolver.ts'
import { Directory } from './directory.ts'
import { HostServers } from './host-servers.ts'
import { type Transport, Upstream } from './upstream.ts'

/** What guards of containers (egress/) say about names. */
export interface NameGate {
  isGuarded(row: AttachmentRow): boolean
  /** Whether a container on these networks may ask others for that name. */
  mayAsk(rows: readonly AttachmentRow[], name: string): boolean
  /** Told of an answer before the container is. */
  learn(rows: readonly AttachmentRow[], name: string, answer: Buffer): Promise<void>
}

export interface ResolversParts {
  readonly ledger: Ledger
  readonly log: Logger
  readonly gate: NameGate
  readonly redirect: Redirect
  readonly upstream?: Upstream
}

export class Resolvers {
  readonly directory: Directory
  readonly gate: NameGate
  readonly redirect: Redirect
  readonly #ledger: Ledger
  readonly #log: Logger
  readonly #upstream: Upstream
  readonly #hostServers = new HostServers()
  /** By container: its attachments to any of our networks. */
  readonly #rows = new Map<string, Map<string, AttachmentRow>>()
  readonly #resolvers = new Map<string, Promise<ContainerResolver>>()

  constructor({ ledger, log, gate, redirect, upstream = new Upstream() }: ResolversParts) {
    this.gate = gate
    this.redirect = redirect
    this.#ledger = ledger
    this.#log = log
    this.#upstream = upstream
    this.directory = new Directory(ledger)
  }

  /** Takes up what an earlier process served: names work again when it resolves. Containers whose namespace is gone are skipped. */
  async resume(): Promise<void> {
    const outcomes = await Promise.allSettled(this.#ledger.attachments().map(row => this.attached(row)))
    const failed = outcomes.filter(({ status }) => status === 'rejected')
    if (failed.length > 0) this.#log.warn({ containers: failed.length }, 'containers without a name server')
  }

  /** Its names are known, and it can ask, when this resolves. Also for changed names. */
  async attached(row: AttachmentRow): Promise<void> {
    this.directory.put(row)
    const rows = this.#rows.get(row.containerId) ?? new Map<string, AttachmentRow>()
    this.#rows.set(row.containerId, rows.set(keyOf(row), row))
    if (this.#isServed(row) && row.netnsPath !== '') await this.#open(row)
  }

  detached(row: AttachmentRow): void {
    this.directory.remove(row)
    const rows = this.#rows.get(row.containerId)
    rows?.delete(keyOf(row))
    if (rows && ![...rows.values()].some(other => this.#isServed(other))) this.#close(row.containerId)
    if (rows?.size === 0) this.#rows.delete(row.containerId)
  }

  rowsOf(containerId: string): readonly AttachmentRow[] {
    return [...(this.#rows.get(containerId)?.values() ?? [])]
  }

  /** UNAVAILABLE: nobody answers, or the container has no way out of its networks, nor then have its questions. */
  async askElsewhere(containerId: string, query: Buffer, transport: Transport): Promise<Buffer> {
    const rows = this.rowsOf(containerId)
    if (rows.every(({ networkId }) => this.#ledger.network(networkId)?.network.internal ?? true))
      throw unavailable('the container is on internal networks only')
    const own = [...new Set(rows.flatMap(({ dns }) => dns?.nameservers ?? []))]
    return await this.#upstream.ask(query, own.length > 0 ? own : await this.#hostServers.list(), transport)
  }

  close(): void {
    for (const containerId of [...this.#resolvers.keys()]) this.#close(containerId)
  }

  /** A guarded container asks us, whatever its network: its list has names. */
  #isServed(row: AttachmentRow): boolean {
    const network = this.#ledger.network(row.networkId)?.network
    return network !== undefined && (readOptions(network).names || readEgress(row.options) !== undefined)
  }

  async #open({ containerId, netnsPath }: AttachmentRow): Promise<void> {
    const known = this.#resolvers.get(containerId)
    if (known) return void (await known)
    const resolver = new ContainerResolver(this, containerId, this.#log)
    const opening = resolver.open(netnsPath).then(() => resolver)
    this.#resolvers.set(containerId, opening)
    opening.catch(() => {
      resolver.close()
      if (this.#resolvers.get(containerId) === opening) this.#resolvers.delete(containerId)
    })
    await opening
  }

  #close(containerId: string): void {
    const opening = this.#resolvers.get(containerId)
    this.#resolvers.delete(containerId)
    void opening?.then(
      resolver => resolver.close(),
      () => {},
    )
  }
}

function keyOf({ networkId, interfaceName }: AttachmentRow): string {
  return `${networkId} ${interfaceName}`
}
