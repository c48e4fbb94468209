/** The network plugin's contract, kept by CNI binaries. */
import { isDeepStrictEqual } from 'node:util'
import type { KeyedLock } from '#api/concurrency/keyed-lock.ts'
import { alreadyExists, failedPrecondition, invalidArgument, messageOf, notFound } from '#api/errors/errors.ts'
import type { Logger } from '#api/log/log.ts'
import type { AddRequest, Attachment, CheckRequest, DelRequest, Network, NetworkPlugin, Result } from '#sdk/network.ts'
import type { AttachmentKey } from '#sdk/network-records.ts'
import { findLink } from '#sdk/rtnetlink/rtnetlink.ts'
import { capabilityArgs } from './capability-args.ts'
import type { CniConfig } from './config.ts'
import { type Conflist, findConflist, parseConflist } from './conflist.ts'
import { releaseAddresses } from './host-local.ts'
import type { AttachmentRow, NetworkRow, Records } from './records.ts'
import { resultOf } from './results.ts'
import type { CniRuntime, CniTarget } from './runtime.ts'

export interface CniNetworksParts {
  readonly config: CniConfig
  readonly records: Records
  readonly runtime: CniRuntime
  readonly lock: KeyedLock
  /** Distinguishes this gantryd's containers among those of other runtimes that use the same lists. */
  readonly instance: string
  readonly log: Logger
}

export class CniNetworks implements NetworkPlugin {
  readonly #parts: CniNetworksParts

  constructor(parts: CniNetworksParts) {
    this.#parts = parts
  }

  async createNetwork(asked: Network): Promise<Network> {
    const { records, runtime } = this.#parts
    const known = records.network(asked.id)
    if (known) {
      if (isDeepStrictEqual(asked, known.asked) || isDeepStrictEqual(asked, known.network)) return known.network
      throw alreadyExists(`network ${asked.id} with a different configuration`)
    }
    const list = await runtime.negotiate(await this.#listOf(asked))
    records.putNetwork({ network: asked, asked, list })
    return asked
  }

  async removeNetwork(networkId: string): Promise<void> {
    const [attached] = this.#parts.records.attachments(networkId)
    if (attached)
      throw failedPrecondition(`network ${networkId} has container ${attached.request.containerId} attached`)
    this.#parts.records.removeNetwork(networkId)
  }

  async listNetworks(): Promise<Network[]> {
    return this.#parts.records.networks().map(({ network }) => network)
  }

  add(request: AddRequest): Promise<Result> {
    return this.#parts.lock.run(lockKey(request), () => this.#add(request))
  }

  async #add(request: AddRequest): Promise<Result> {
    const { records, runtime } = this.#parts
    const { list } = this.#network(request.networkId)
    await refuseMissing(request.netnsPath)
    const known = records.attachment(request)
    if (known) {
      const answer = known.result && (await this.#stillThere(known))
      if (answer) return answer
      await this.#remove(known)
    }
    const row: AttachmentRow = {
      request,
      list,
      cniId: this.#cniId(request.containerId),
      capabilityArgs: capabilityArgs(list, request),
    }
    records.putAttachment(row)
    try {
      const result = await runtime.add(list, targetOf(row))
      records.putAttachment({ ...row, result })
      return resultOf(result, request.ports)
    } catch (error) {
      records.removeAttachment(request)
      throw error
    }
  }

  del(request: DelRequest): Promise<void> {
    return this.#parts.lock.run(lockKey(request), async () => {
      const row = this.#parts.records.attachment(request)
      if (row) await this.#remove(row)
    })
  }

  async check(request: CheckRequest): Promise<void> {
    const row = this.#parts.records.attachment(request)
    if (row === undefined)
      throw notFound(`attachment of container ${request.containerId} to network ${request.networkId}`)
    await this.#parts.runtime.check(row.list, targetOf(row), row.result).catch(cause => {
      throw failedPrecondition(`attachment of ${request.containerId}: ${messageOf(cause)}`, { cause })
    })
  }

  async status(): Promise<void> {
    for (const { list } of this.#parts.records.networks()) await this.#parts.runtime.status(list)
  }

  async gc(networkId: string, valid: readonly Attachment[]): Promise<string[]> {
    const { records, runtime, instance } = this.#parts
    const keep = new Set(valid.map(attachment => lockKey({ ...attachment, networkId })))
    const rows = records.attachments(networkId)
    const ended = rows.filter(({ request }) => !keep.has(lockKey(request)))
    for (const row of ended) await this.#parts.lock.run(lockKey(row.request), () => this.#remove(row))
    const removed = ended.map(({ request }) => `attachment of ${request.containerId} (${request.interfaceName})`)
    const list = records.network(networkId)?.list
    if (list === undefined) return removed
    const kept = rows.filter(row => !ended.includes(row)).map(targetOf)
    await runtime.gc(list, kept)
    return [...removed, ...(await releaseAddresses(list, `${instance}.`, kept))]
  }

  close(): Promise<void> {
    return this.#parts.records.close()
  }

  /** Undefined: CHECK found something missing. */
  async #stillThere(row: AttachmentRow): Promise<Result | undefined> {
    try {
      await this.#parts.runtime.check(row.list, targetOf(row), row.result)
      return row.result && resultOf(row.result, row.request.ports)
    } catch (error) {
      this.#parts.log.warn({ container: row.request.containerId, reason: messageOf(error) }, 'attaching anew')
      return undefined
    }
  }

  async #remove(row: AttachmentRow): Promise<void> {
    const target = targetOf(row)
    const isGone = await refuseMissing(target.netns).then(
      () => false,
      () => true,
    )
    await this.#parts.runtime.del(row.list, isGone ? { ...target, netns: '' } : target, row.result)
    this.#parts.records.removeAttachment(row.request)
  }

  #network(id: string): NetworkRow {
    const row = this.#parts.records.network(id)
    if (row) return row
    throw notFound(`network ${id}`)
  }

  #listOf({ name, options }: Network): Promise<Conflist> | Conflist {
    const { 'cni.conflist': text, 'cni.name': listName, ...unknown } = options
    const [other] = Object.keys(unknown)
    if (other !== undefined) throw invalidArgument(`network.options: "${other}" is not one of cni.conflist, cni.name`)
    if (text !== undefined) return parseConflist(text, 'network.options: cni.conflist')
    if (listName !== undefined) return findConflist(this.#parts.config.configDirectory, listName)
    throw invalidArgument(
      `network "${name}": say which CNI configuration to use, by the option cni.name or cni.conflist`,
    )
  }

  /** What the spec allows: letters, digits, ".", "_" and "-". */
  #cniId(containerId: string): string {
    return `${this.#parts.instance}.${containerId.replace(/[^A-Za-z0-9_.-]/g, '.')}`
  }
}

function targetOf({ request, cniId, capabilityArgs }: AttachmentRow): CniTarget {
  return { containerId: cniId, interfaceName: request.interfaceName, netns: request.netnsPath, capabilityArgs }
}

/** NOT_FOUND: there is no network namespace. */
async function refuseMissing(netns: string): Promise<void> {
  await findLink('lo', { netns }).catch(cause => {
    throw notFound(`no network namespace at "${netns}" (${messageOf(cause)})`, { cause })
  })
}

function lockKey({ networkId, containerId, interfaceName }: AttachmentKey): string {
  return `${networkId} ${containerId} ${interfaceName}`
}
