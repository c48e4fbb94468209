/** Which containers are guarded, and what their names have led to. */
import { BlockList } from 'node:net'
import * as packet from 'dns-packet'
import { failedPrecondition } from '#api/errors/errors.ts'
import type { EgressFilter, EgressGuard, PermittedAddress } from '#sdk/iptables-wrapper/egress/egress-filter.ts'
import type { Leftover } from '#sdk/leftover.ts'
import { familyOf } from '#sdk/network-addresses.ts'
import { macFor } from '../addresses.ts'
import type { AttachmentRow, Ledger, NetworkRow } from '../ledger.ts'
import { planOf } from '../subnets.ts'
import { fitsName, readEgress } from './egress-list.ts'

export interface GuardsParts {
  readonly ledger: Ledger
  /** Undefined: the packet filter has no such thing. */
  openFilter(state: () => readonly EgressGuard[]): EgressFilter | undefined
}

/** An address stays reachable a little longer than its name says, for those who asked just before; and never for less, or more. */
const graceSeconds = 30
const [leastSeconds, mostSeconds] = [60, 3600]

/** What no name opens, whoever answers it: the host's own and the link's neighbours (cloud metadata), groups, mapped addresses. */
const unreachable = {
  4: blockList('ipv4', ['0.0.0.0', 8], ['127.0.0.0', 8], ['169.254.0.0', 16], ['224.0.0.0', 3]),
  6: blockList('ipv6', ['::', 64], ['64:ff9b::', 96], ['fe80::', 10], ['ff00::', 8]),
} as const

export class Guards {
  readonly #ledger: Ledger
  readonly #filter: EgressFilter | undefined
  /** By the host's end of the link. */
  readonly #inForce = new Map<string, EgressGuard>()

  constructor({ ledger, openFilter }: GuardsParts) {
    this.#ledger = ledger
    this.#filter = openFilter(() => [...this.#inForce.values()])
  }

  /** After a start: what the ledger says is in force when it resolves, and nothing else. */
  async resume(): Promise<void> {
    for (const row of this.#ledger.attachments()) {
      const guard = this.#guardOf(row)
      if (guard) this.#inForce.set(row.hostLink, guard)
    }
    await this.#filter?.restore()
  }

  /** Before the container's link is there, and when its list changes. FAILED_PRECONDITION: the packet filter cannot. */
  async apply(row: AttachmentRow): Promise<void> {
    const guard = this.#guardOf(row)
    if (guard === undefined) return await this.lift(row.hostLink)
    if (this.#filter === undefined)
      throw failedPrecondition('options: gantry.network.egress needs nftables: the configured firewall is iptables')
    const before = this.#inForce.get(row.hostLink)
    this.#inForce.set(row.hostLink, guard)
    await this.#filter.put(guard, before)
  }

  /** After the link has gone, and before its addresses are another's. */
  async lift(hostLink: string): Promise<void> {
    const guard = this.#inForce.get(hostLink)
    this.#inForce.delete(hostLink)
    if (guard) await this.#filter?.remove(guard)
  }

  /** Packets dropped on an attachment; undefined: it is not guarded. */
  async drops({ hostLink }: AttachmentRow): Promise<bigint | undefined> {
    const guard = this.#inForce.get(hostLink)
    return guard && (await this.#filter?.drops(guard))
  }

  /**
   * Whether a container may ask others for a name: what a query carries outwards is traffic too. One with a free way out
   * of another network may.
   */
  mayAsk(rows: readonly AttachmentRow[], name: string): boolean {
    const lists = rows.filter(({ networkId }) => !this.#isInternal(networkId)).map(row => readEgress(row.options))
    return lists.some(list => list === undefined || list.names.some(rule => fitsName(rule, name)))
  }

  /** Opens the way to the addresses of an answer, for those of the rows whose list has the name. */
  async learn(rows: readonly AttachmentRow[], name: string, answer: Buffer): Promise<void> {
    const wishes = rows.flatMap(row => {
      const guard = this.#inForce.get(row.hostLink)
      const rules = readEgress(row.options)?.names.filter(rule => fitsName(rule, name)) ?? []
      return guard && rules.length > 0 ? [{ guard, rules }] : []
    })
    if (wishes.length === 0) return
    const found = addressesOf(answer)
    for (const { guard, rules } of wishes)
      await this.#filter?.permit(
        guard,
        rules.flatMap(({ port }) => found.map(each => ({ ...each, port }))),
      )
  }

  isGuarded({ hostLink }: AttachmentRow): boolean {
    return this.#inForce.has(hostLink)
  }

  async leftovers(): Promise<Leftover[]> {
    return (await this.#filter?.leftovers()) ?? []
  }

  watch(): Disposable {
    return this.#filter?.watch() ?? { [Symbol.dispose]: () => {} }
  }

  #guardOf(row: AttachmentRow): EgressGuard | undefined {
    const list = readEgress(row.options)
    const network = this.#ledger.network(row.networkId)
    if (list === undefined || network === undefined) return undefined
    const { hostLink, mac, addresses } = row
    return {
      ...{ hostLink, mac, bridgeMac: bridgeMac(network) },
      addresses: addresses.map(({ address }) => address),
      allow: list.subnets,
    }
  }

  #isInternal(networkId: string): boolean {
    return this.#ledger.network(networkId)?.network.internal ?? true
  }
}

/** As bridge-link.ts gives it. */
function bridgeMac({ network }: NetworkRow): string {
  return macFor(planOf(network.subnets)[0]?.gateway ?? '0.0.0.0')
}

function addressesOf(answer: Buffer): Omit<PermittedAddress, 'port'>[] {
  const { answers = [] } = packet.decode(answer)
  return answers.flatMap(record => {
    if (record.type !== 'A' && record.type !== 'AAAA') return []
    const family = familyOf(record.data)
    if (unreachable[family].check(record.data, `ipv${family}`)) return []
    const seconds = Math.min(Math.max(record.ttl ?? 0, leastSeconds), mostSeconds) + graceSeconds
    return [{ address: record.data, seconds }]
  })
}

/** One for each family: a list of both takes 10.0.0.1 for an address of ::/64. */
function blockList(family: 'ipv4' | 'ipv6', ...subnets: readonly (readonly [string, number])[]): BlockList {
  const list = new BlockList()
  for (const [subnet, prefix] of subnets) list.addSubnet(subnet, prefix, family)
  return list
}
