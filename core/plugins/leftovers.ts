/**
 * What a gantryd that was killed leaves: processes (for the moment they need to notice, or for ever when they hang or have
 * forked), their cgroups and sockets, and the directories of a trial. Swept before anything starts; a plugin's own seat is
 * swept behind, because one that hangs takes seconds, and only its own next start has to wait for that.
 */
import { readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { Logger } from '#api/log/log.ts'
import { cgroupsIn, endCgroup } from './cgroup.ts'
import type { Surroundings } from './home.ts'
import { kindTraits, type PluginKind, pluginKinds } from './kinds.ts'
import type { PluginHome } from './managed-plugin.ts'
import { endPredecessor } from './predecessor.ts'

/** Any seat but the plain one: a later process of a swap, or a trial. */
const otherSeat = /\.(\d+|trial)$/

export class Leftovers {
  readonly #surroundings: Surroundings
  readonly #log: Logger
  /** By pid file. */
  readonly #ending = new Map<string, Promise<void>>()

  constructor(surroundings: Surroundings, log: Logger) {
    this.#surroundings = surroundings
    this.#log = log
  }

  /** Sweeps. What is on a plain seat is swept behind the answer. */
  async sweep(): Promise<void> {
    const { root, state } = this.#surroundings
    for (const kind of pluginKinds) {
      const { folder } = kindTraits[kind]
      for (const seat of await this.#seats(kind)) {
        const swept = this.#sweepSeat(kind, seat)
        this.#ending.set(join(state, folder, `${seat}.pid`), swept)
        if (otherSeat.test(seat)) await swept
      }
      for (const base of [root, state])
        for (const name of await entriesOf(join(base, folder)))
          if (name.endsWith('.trial')) await rm(join(base, folder, name), { recursive: true, force: true })
    }
  }

  /** Who has left anything: a note of its process, a socket, a cgroup. */
  async #seats(kind: PluginKind): Promise<Set<string>> {
    const { state, cgroup } = this.#surroundings
    const files = (await entriesOf(join(state, kindTraits[kind].folder))).filter(name => /\.(pid|sock)$/.test(name))
    const prefix = `${kind}-`
    const cgroups = cgroupsIn(cgroup).filter(name => name.startsWith(prefix))
    return new Set([
      ...files.map(name => name.replace(/\.(pid|sock)$/, '')),
      ...cgroups.map(name => name.slice(prefix.length)),
    ])
  }

  async #sweepSeat(kind: PluginKind, seat: string): Promise<void> {
    const { state, cgroup } = this.#surroundings
    const path = join(state, kindTraits[kind].folder, seat)
    await endPredecessor(`${path}.pid`, this.#log)
    await endCgroup(join(cgroup, `${kind}-${seat}`))
    await rm(`${path}.sock`, { force: true })
  }

  /** Resolves when nothing is left of an earlier process at that home. */
  async swept({ pidFile }: Pick<PluginHome, 'pidFile'>): Promise<void> {
    await this.#ending.get(pidFile)
  }

  /** Resolves when all is swept. */
  async finished(): Promise<void> {
    await Promise.all(this.#ending.values())
  }
}

async function entriesOf(directory: string): Promise<string[]> {
  return await readdir(directory).catch(() => [])
}
