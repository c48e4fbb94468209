/**
 * One process takes over from another while calls run (docs/adr: a hand-over is a short pause).
 *
 * 1. *Trial.* The new one is started on an empty root and a socket of its own, must pass its health check, say who it is
 *    and do the smallest piece of its work (sanity.ts). It is ended again. A failure here has disturbed nobody.
 * 2. *Early start*, when it `waitsForRoot`: it is loaded and answers, while the old one still holds the root.
 * 3. *Pause.* New calls wait at the gate; those under way end on the old process.
 * 4. *Hand-over.* The old one ends and lets go of its root, the new one takes it, serves, and is checked.
 * 5. The gate opens: the calls that waited go to the new one; to the old one, started again, when step 4 failed.
 *
 * Two processes never work on one root at the same time: what a plugin keeps (LMDB, a firewall, a loop device) has one owner.
 */
import { rm } from 'node:fs/promises'
import { failedPrecondition, messageOf } from '#api/errors/errors.ts'
import type { Logger } from '#api/log/log.ts'
import type { CallGate } from './call-gate.ts'
import { type Surroundings, trialHomeOf } from './home.ts'
import type { KeptLog } from './kept-log.ts'
import { kindTraits } from './kinds.ts'
import type { Leftovers } from './leftovers.ts'
import { ManagedPlugin, type PluginHome } from './managed-plugin.ts'
import { tryShim } from './runtime-plugin.ts'
import { checkAtWork, checkOnTrial } from './sanity.ts'
import type { PluginSpec } from './spec.ts'
import type { StepHook } from './step.ts'
import type { SupervisedPlugin } from './supervised.ts'
import type { Timing } from './timing.ts'

export interface TrialOptions {
  readonly surroundings: Surroundings
  readonly timing: Timing
  readonly leftovers: Leftovers
  readonly step: StepHook
  readonly log: Logger
  readonly kept: KeptLog
}

/** Step 1; nothing for a spec that is no program of ours. FAILED_PRECONDITION: what it could not do. */
export async function tryOut(spec: PluginSpec, options: TrialOptions): Promise<void> {
  if (!('argv' in spec.source)) return
  if (kindTraits[spec.kind].starts === 'per container') return await tryShim(spec)
  const { surroundings, timing, leftovers, step, log, kept } = options
  const home = trialHomeOf(spec, surroundings)
  const { argv } = spec.source
  await clear(home)
  const trial = new ManagedPlugin({
    spec,
    argv,
    home,
    timing,
    leftovers,
    log: log.child({ trial: true }),
    kept,
    nextStart: () => 0,
  })
  try {
    const channel = await trial.channel()
    step('trial started')
    await checkOnTrial(spec, channel)
  } catch (cause) {
    throw failedPrecondition(`${nameOf(spec)} failed its trial: ${messageOf(cause)}`, { cause })
  } finally {
    await trial.stop(timing.stopMs)
    step('trial ended')
    await clear(home)
  }
}

async function clear({ directories, address }: PluginHome): Promise<void> {
  for (const directory of directories) await rm(directory, { recursive: true, force: true })
  await rm(address, { force: true })
}

interface Holder {
  readonly spec: PluginSpec
  readonly plugin: SupervisedPlugin
}

export interface HandOver {
  readonly old: Holder
  readonly next: Holder
  readonly gate: CallGate
  readonly timing: Timing
  readonly step: StepHook
  /** Makes another run of a spec; started by its first use. */
  remake(spec: PluginSpec): SupervisedPlugin
  /** Who holds the place from now on. */
  install(spec: PluginSpec, plugin: SupervisedPlugin): void
}

/** Steps 2 to 5. FAILED_PRECONDITION: the new one failed, or the calls under way did not end; the old one goes on. */
export async function handOver(change: HandOver): Promise<void> {
  const { old, next, gate, timing } = change
  const early = (await startEarly(change)) ? next.plugin : undefined
  change.step('started early')
  gate.shut()
  try {
    // One that was started early waits only so long for its root.
    if (await gate.drained(early ? timing.drainEarlyMs : timing.drainMs)) return await replace(change)
    if (early === undefined)
      throw failedPrecondition(`${nameOf(old.spec)}: ${gate.inFlight} calls did not end within ${timing.drainMs} ms`)
    await early.stop(timing.stopMs)
    if (!(await gate.drained(timing.drainMs)))
      throw failedPrecondition(`${nameOf(old.spec)}: ${gate.inFlight} calls did not end within ${timing.drainMs} ms`)
    await replace({ ...change, next: { spec: next.spec, plugin: change.remake(next.spec) } })
  } finally {
    gate.open()
  }
}

/** Step 2. True when the new process answers, and waits. */
async function startEarly({ old, next, timing }: HandOver): Promise<boolean> {
  const running = old.plugin.status().pid !== 0
  if (!running || !next.spec.waitsForRoot || !('argv' in next.spec.source)) return false
  try {
    await Promise.race([next.plugin.channel(), next.plugin.answered])
    return true
  } catch (cause) {
    await next.plugin.stop(timing.stopMs)
    throw failedPrecondition(`${nameOf(next.spec)} could not be started: ${messageOf(cause)}`, { cause })
  }
}

/** Steps 4 and 5. */
async function replace({ old, next, timing, step, remake, install }: HandOver): Promise<void> {
  const wasAtWork = old.plugin.startedAs > 0
  await old.plugin.stop(timing.stopMs)
  step('old one stopped')
  try {
    if (wasAtWork && !('unusable' in next.spec.source)) await checkAtWork(next.spec, await next.plugin.channel())
    step('new one at work')
    install(next.spec, next.plugin)
  } catch (cause) {
    await next.plugin.stop(timing.stopMs)
    const again = remake(old.spec)
    install(old.spec, again)
    // Whoever calls next starts it; here it is only sooner.
    await again.channel().catch(() => {})
    throw failedPrecondition(`${nameOf(next.spec)} could not take over: ${messageOf(cause)}`, { cause })
  }
}

function nameOf({ kind, id, version }: PluginSpec): string {
  return `${kind} "${id}"${version === '' ? '' : ` ${version}`}`
}
