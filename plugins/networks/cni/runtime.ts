/** The verbs of a CNI runtime over a whole list: CNI spec 1.1, sections 3 and 4. */
import { setTimeout as sleep } from 'node:timers/promises'
import { invalidArgument, isGantryError, messageOf } from '#api/errors/errors.ts'
import type { Logger } from '#api/log/log.ts'
import { type Conflist, knownVersions, type PluginConf } from './conflist.ts'
import { type CniVerb, execute } from './execute.ts'

const delAttempts = 3
const delPauseMs = 100

/** An attachment as binaries are told of it. */
export interface CniTarget {
  readonly containerId: string
  readonly interfaceName: string
  /** Empty: it is gone. */
  readonly netns: string
  /** By capability: handed to those binaries that declare it. */
  readonly capabilityArgs: Readonly<Record<string, unknown>>
}

export interface CniRuntimeParts {
  readonly binDirectories: readonly string[]
  readonly log: Logger
}

/** CNI's result, as the last binary printed it. */
export type RawResult = Readonly<Record<string, unknown>>

export class CniRuntime {
  readonly #directories: readonly string[]
  readonly #log: Logger

  constructor({ binDirectories, log }: CniRuntimeParts) {
    this.#directories = binDirectories
    this.#log = log
  }

  /** Every binary in order, each with the result of the one before. When one refuses, what was done is undone. */
  async add(list: Conflist, target: CniTarget): Promise<RawResult> {
    let result: RawResult | undefined
    try {
      for (const plugin of list.plugins) result = (await this.#call('ADD', list, plugin, target, result)) as RawResult
      return result ?? {}
    } catch (error) {
      await this.del(list, target, result).catch(reason =>
        this.#log.warn({ container: target.containerId, reason: messageOf(reason) }, 'undoing a failed ADD failed too'),
      )
      throw error
    }
  }

  /** Every binary, backwards, whatever the ones before say; the first refusal is thrown when all have been called. */
  async del(list: Conflist, target: CniTarget, result: RawResult | undefined): Promise<void> {
    const refusals: unknown[] = []
    for (const plugin of list.plugins.toReversed())
      await this.#delOne(list, plugin, target, result).catch(error => refusals.push(error))
    if (refusals.length > 0) throw refusals[0]
  }

  /** DEL may be repeated, and some binaries need it: iptables at times finds a chain busy that it has just emptied. */
  async #delOne(list: Conflist, plugin: PluginConf, target: CniTarget, result: RawResult | undefined): Promise<void> {
    for (let attempt = 1; ; attempt++) {
      try {
        await this.#call('DEL', list, plugin, target, result)
        return
      } catch (error) {
        if (attempt === delAttempts) throw error
        await sleep(attempt * delPauseMs)
      }
    }
  }

  /** Since 0.4.0, and unless the list forbids it. */
  async check(list: Conflist, target: CniTarget, result: RawResult | undefined): Promise<void> {
    if (list.disableCheck || isOlder(list.cniVersion, '0.4.0')) return
    for (const plugin of list.plugins) await this.#call('CHECK', list, plugin, target, result)
  }

  /** Since 1.1.0: binaries drop what they hold for others than these. Older ones are not asked. */
  async gc(list: Conflist, valid: readonly Pick<CniTarget, 'containerId' | 'interfaceName'>[]): Promise<void> {
    if (list.disableGC || isOlder(list.cniVersion, '1.1.0')) return
    const attachments = valid.map(({ containerId, interfaceName }) => ({
      containerID: containerId,
      ifname: interfaceName,
    }))
    for (const plugin of list.plugins) {
      const config = { ...configOf(list, plugin), 'cni.dev/valid-attachments': attachments }
      await execute({ verb: 'GC', type: plugin.type, config }, this.#directories)
    }
  }

  /** STATUS since 1.1.0; of older binaries, that they are there and speak the list's version. */
  async status(list: Conflist): Promise<void> {
    for (const plugin of list.plugins) {
      if (isOlder(list.cniVersion, '1.1.0')) await this.#versions(plugin)
      else await execute({ verb: 'STATUS', type: plugin.type, config: configOf(list, plugin) }, this.#directories)
    }
  }

  /** The list with the newest version that all of its binaries speak, not above its own. INVALID_ARGUMENT: there is none. */
  async negotiate(list: Conflist): Promise<Conflist> {
    const spoken = await Promise.all(list.plugins.map(plugin => this.#versions(plugin)))
    const candidates = knownVersions.filter(version => !isOlder(list.cniVersion, version))
    const cniVersion = candidates.findLast(version => spoken.every(versions => versions.includes(version)))
    if (cniVersion !== undefined) return { ...list, cniVersion }
    throw invalidArgument(
      `CNI network "${list.name}": its binaries have no version up to ${list.cniVersion} in common: ${list.plugins.map(({ type }, i) => `${type} ${spoken[i]?.join(' ')}`).join('; ')}`,
    )
  }

  async #versions({ type }: PluginConf): Promise<string[]> {
    const config = { cniVersion: knownVersions.at(-1) }
    const output = (await execute({ verb: 'VERSION', type, config }, this.#directories)) as {
      supportedVersions?: string[]
    }
    return output?.supportedVersions ?? []
  }

  async #call(
    verb: CniVerb,
    list: Conflist,
    plugin: PluginConf,
    target: CniTarget,
    prevResult: RawResult | undefined,
  ): Promise<unknown> {
    const runtimeConfig = Object.fromEntries(
      Object.entries(target.capabilityArgs).filter(([capability]) => plugin.capabilities[capability] === true),
    )
    const config = {
      ...configOf(list, plugin),
      ...(Object.keys(runtimeConfig).length > 0 ? { runtimeConfig } : {}),
      ...(prevResult === undefined ? {} : { prevResult }),
    }
    const { containerId, netns, interfaceName } = target
    const call = { verb, type: plugin.type, config, containerId, netns, interfaceName, args: 'IgnoreUnknown=1' }
    try {
      return await execute(call, this.#directories)
    } catch (error) {
      // Nothing is there to undo, which is what was asked for.
      if (verb === 'DEL' && isGantryError(error, 'NOT_FOUND') && !messageOf(error).includes('CNI binary'))
        return undefined
      throw error
    }
  }
}

/** What the runtime derives of a plugin's part of a list. */
function configOf(list: Conflist, plugin: PluginConf): Record<string, unknown> {
  const { capabilities: _, ...own } = plugin
  return { ...own, cniVersion: list.cniVersion, name: list.name }
}

function isOlder(version: string, than: string): boolean {
  const order: readonly string[] = knownVersions
  return order.indexOf(version) < order.indexOf(than)
}
