/** A plugin whose process is ours: the state machine of plugins.ts. */
import { mkdir, rm } from 'node:fs/promises'
import { dirname } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { failedPrecondition, messageOf, unavailable } from '#api/errors/errors.ts'
import type { GetInfoResponse } from '#api/gen/gantry/plugin/v1/plugin.ts'
import type { Logger } from '#api/log/log.ts'
import { type Channel, connect } from '#api/rpc/client.ts'
import { resume, step } from '#api/trace/spans.ts'
import { createCgroup, type PluginCgroup } from './cgroup.ts'
import { confined } from './confinement.ts'
import type { KeptLog } from './kept-log.ts'
import { kindTraits } from './kinds.ts'
import type { Leftovers } from './leftovers.ts'
import { launch, type PluginProcess } from './plugin-process.ts'
import { endPredecessor, remember } from './predecessor.ts'
import { identify, isServing, untilServing } from './readiness.ts'
import type { PluginSpec } from './spec.ts'
import type { PluginState, ProcessStatus } from './status.ts'
import type { SupervisedPlugin } from './supervised.ts'
import { backOffAfter, type Timing } from './timing.ts'

/** How long a process under suspicion may take to show that it is well. */
const suspicionMs = 500
/** How long the news of a death may take, on a busy machine, after its connections broke. */
const newsMs = 2_000

/** Where a plugin process lives, as it is told by its environment. */
export interface PluginHome {
  /** Path of its socket. */
  readonly address: string
  readonly pidFile: string
  readonly env: Readonly<Record<string, string>>
  /** Directories that must exist (0700). */
  readonly directories: readonly string[]
  /** Name of its cgroup below each hierarchy. */
  readonly cgroup: string
}

export interface ManagedPluginOptions {
  spec: PluginSpec
  argv: readonly string[]
  home: PluginHome
  timing: Timing
  log: Logger
  kept: KeptLog
  leftovers: Pick<Leftovers, 'swept'>
  /** Counts starts over all plugins. */
  nextStart(): number
}

export class ManagedPlugin implements SupervisedPlugin {
  startedAs = 0
  readonly #options: ManagedPluginOptions
  readonly #label: string
  readonly #channel: Channel
  readonly #stopping = new AbortController()
  readonly #answered = Promise.withResolvers<void>()
  #state: PluginState = 'idle'
  #process: PluginProcess | undefined
  /** The start under way or waiting out a back-off; undefined when none is. */
  #attempt: Promise<void> | undefined
  /** When the next start may happen, in milliseconds since the epoch. */
  #notBeforeMs = 0
  #failures = 0
  #starts = 0
  #startedAtMs: number | undefined
  #lastError = ''
  #lastWords: readonly string[] = []
  #info: GetInfoResponse | undefined
  #cgroup: PluginCgroup | undefined

  constructor(options: ManagedPluginOptions) {
    this.#options = options
    this.#label = `${options.spec.kind} "${options.spec.id}"`
    this.#channel = connect(options.home.address, { peer: this.#label })
  }

  /** Resolves when a process of it has answered a health check, in whatever way. */
  get answered(): Promise<void> {
    return this.#answered.promise
  }

  async channel(): Promise<Channel> {
    if (this.#state === 'ready') return this.#channel
    if (this.#stopping.signal.aborted) throw unavailable(`${this.#label}: gantryd is stopping`)
    this.#refuseLongWait()
    this.#attempt ??= this.#start(0)
    await this.#attempt
    return this.#channel
  }

  #refuseLongWait(): void {
    const leftMs = this.#notBeforeMs - Date.now()
    const patienceMs = this.#state === 'failed' ? 0 : this.#options.timing.callWaitMs
    if (leftMs <= patienceMs) return
    const next = `next try in ${(leftMs / 1000).toFixed(1)} s`
    throw unavailable(
      `${this.#label} is out of order after ${this.#failures} failures, ${next}; the last one: ${this.#lastError}`,
    )
  }

  /** One start after `delayMs`. A failure plans the next one and rejects. */
  #start(delayMs: number): Promise<void> {
    const attempt = this.#attemptStart(delayMs)
    // Whoever waits learns of it; a restart that nobody waits for is told by the table and the log.
    attempt.catch(() => {})
    return attempt
  }

  async #attemptStart(delayMs: number): Promise<void> {
    try {
      if (delayMs > 0) await sleep(delayMs, undefined, { signal: this.#stopping.signal })
      this.#state = 'starting'
      const process = await step('start the plugin', () => this.#launch())
      this.#attempt = undefined
      this.#state = 'ready'
      this.#options.log.info({ pid: process.pid, restarts: this.#restarts() }, 'ready')
      // For its whole life, whoever's call it was that started it.
      resume(undefined, () => this.#watch(process))
    } catch (cause) {
      if (this.#stopping.signal.aborted) throw unavailable(`${this.#label}: gantryd is stopping`, { cause })
      this.#failed(messageOf(cause))
      throw unavailable(`${this.#label} could not be started: ${messageOf(cause)}`, { cause })
    }
  }

  async #launch(): Promise<PluginProcess> {
    const { home, timing, log, kept, spec, leftovers, nextStart } = this.#options
    for (const directory of home.directories) await mkdir(directory, { recursive: true, mode: 0o700 })
    await leftovers.swept(home)
    await endPredecessor(home.pidFile, log)
    await rm(home.address, { force: true })
    this.startedAs = nextStart()
    this.#starts++
    const argv = await this.#confine()
    const process = await launch({ argv, env: home.env, cwd: dirname(home.address), log, kept })
    this.#process = process
    this.#startedAtMs = Date.now()
    try {
      if (this.#stopping.signal.aborted) throw failedPrecondition('stopped while it started')
      await remember(home.pidFile, process.pid)
      await untilServing(this.#channel, process, timing.startMs, () => this.#answered.resolve())
      this.#info = await identify(this.#channel, spec)
      return process
    } catch (error) {
      await process.kill()
      this.#lastWords = await process.lastWords.lines()
      this.#process = undefined
      throw error
    }
  }

  /** The command to run: within the limits and with the capabilities of the spec, when it has any. */
  async #confine(): Promise<readonly string[]> {
    const { argv, home, spec, log } = this.#options
    const { linuxCapabilities, limits = {} } = spec
    if (linuxCapabilities === undefined || process.getuid?.() !== 0) return argv
    this.#cgroup = await createCgroup(home.cgroup, limits, log)
    return confined(argv, { linuxCapabilities, cgroupFiles: this.#cgroup.procsFiles })
  }

  /** Until its end: then plans the next start. Ends it itself when it answers no health check. */
  #watch(process: PluginProcess): void {
    const { timing, log } = this.#options
    let missed = 0
    const checks = setInterval(async () => {
      missed = (await isServing(this.#channel, timing.checkMs)) ? 0 : missed + 1
      if (missed === 0 || process.ended !== undefined) return
      log.warn({ pid: process.pid, missed }, 'missed a health check')
      if (missed > 1) await process.kill()
    }, timing.checkEveryMs).unref()
    void process.exited.then(reason => {
      clearInterval(checks)
      void process.lastWords.lines().then(lines => {
        this.#lastWords = lines
      })
      this.#process = undefined
      if (!this.#stopping.signal.aborted) this.#died(missed > 1 ? 'hung: it answered no health check' : reason)
    })
  }

  #died(reason: string): void {
    const ranMs = Date.now() - (this.#startedAtMs ?? 0)
    if (ranMs >= this.#options.timing.healthyMs) this.#failures = 0
    this.#failed(reason)
  }

  /** Plans the next start, or gives up until somebody asks. */
  #failed(reason: string): void {
    const { timing, log } = this.#options
    this.#failures++
    this.#lastError = reason
    const keepUp = kindTraits[this.#options.spec.kind].starts === 'with gantryd'
    const givenUp = this.#failures >= timing.maxFailures && !keepUp
    const delayMs = givenUp ? timing.backOffCapMs : backOffAfter(this.#failures, timing)
    this.#notBeforeMs = Date.now() + delayMs
    this.#state = givenUp ? 'failed' : 'back-off'
    log.error(
      { reason, failures: this.#failures, delayMs },
      givenUp ? 'failed too often' : 'failed; will be started again',
    )
    this.#attempt = givenUp ? undefined : this.#start(delayMs)
  }

  async suspect(): Promise<boolean> {
    const process = this.#process
    if (process === undefined || this.#state !== 'ready') return true
    const healthy = isServing(this.#channel, suspicionMs)
    if (await Promise.race([process.exited.then(() => false), healthy])) return false
    // Unreachable, so dying: its exit is about to be told, or the next start waits for it.
    await Promise.race([process.exited, sleep(newsMs, undefined, { ref: false })])
    return process.ended !== undefined
  }

  status(): ProcessStatus {
    const { spec, home } = this.#options
    const { version, capabilities } = spec
    return {
      state: this.#state,
      pid: this.#process?.pid ?? 0,
      restarts: this.#restarts(),
      lastError: this.#lastError,
      lastWords: this.#lastWords,
      version: this.#info?.version ?? version,
      capabilities: this.#info?.capabilities ?? capabilities,
      address: home.address,
      external: false,
      startedAtMs: this.#startedAtMs,
      exports: this.#info?.exports ?? {},
    }
  }

  #restarts(): number {
    return Math.max(0, this.#starts - 1)
  }

  async stop(deadlineMs: number): Promise<void> {
    if (this.#stopping.signal.aborted) return
    this.#state = 'stopped'
    this.#stopping.abort()
    if (this.#process) await this.#process.terminate(deadlineMs)
    // A start that was under way ends its own process.
    await this.#attempt?.catch(() => {})
    this.#state = 'stopped'
    this.#channel.close()
    await this.#cgroup?.remove()
    const { pidFile, address } = this.#options.home
    for (const path of [pidFile, address]) await rm(path, { force: true })
  }
}
