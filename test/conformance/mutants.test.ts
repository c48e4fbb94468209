/**
 * Whether the conformance kit sees what is broken: our own plugins with one thing wrong each. At least 95 of 100 are caught.
 */
import assert from 'node:assert/strict'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { openNetworkPlugin } from '#sdk/define-network.ts'
import { openSnapshotter } from '#sdk/define-snapshotter.ts'
import type { NetworkPlugin } from '#sdk/network.ts'
import { networkChecks, Subject } from '#sdk/network-suite.ts'
import type { Snapshotter } from '#sdk/snapshotter.ts'
import { Bench } from '#sdk/suite/bench.ts'
import { snapshotterChecks as checks } from '#sdk/suite/checks.ts'
import { none } from '../../plugins/networks/none/none.ts'
import { overlayfs } from '../../plugins/snapshotters/overlayfs/overlayfs.ts'
import { networkMutants } from './mutants/network-mutants.ts'
import { snapshotterMutants } from './mutants/snapshotter-mutants.ts'

const timeout = 1_200_000
const skip = process.getuid?.() === 0 ? false : 'needs root: it mounts'
const wantedShare = 0.95

/** In memory: nothing here needs to outlive a crash, and there is no disk to wait for. */
const home = mkdtempSync(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'gantry-mutants-'))
// Some mutants keep a bench from cleaning up.
after(() => rmSync(home, { recursive: true, force: true }))

type Checks = Readonly<Record<string, () => Promise<void>>>

/** The rule that saw it; undefined when none did. */
async function caughtBy(checks: Checks): Promise<string | undefined> {
  for (const [rule, check] of Object.entries(checks))
    try {
      await check()
    } catch {
      return rule
    }
  return undefined
}

const rules = checks()

function snapshotterChecks(mutate: (right: Snapshotter, opened: number) => Partial<Snapshotter>): Checks {
  const run = async (check: (bench: Bench) => Promise<void>) => {
    let opened = 0
    let right: Snapshotter | undefined
    const open = async (root: string): Promise<Snapshotter> => {
      right = await openSnapshotter(overlayfs, { root })
      return mutant(right, mutate(right, opened++))
    }
    try {
      await using bench = await Bench.open(open, { home: home })
      await check(bench)
    } finally {
      await right?.close()
    }
  }
  return Object.fromEntries(Object.entries(rules).map(([rule, check]) => [rule, () => run(check)]))
}

/** Ours, with some verbs replaced. */
function mutant<T extends object>(right: T, broken: Partial<T>): T {
  return new Proxy(right, {
    get(target, verb) {
      const from = verb in broken ? broken : target
      const value: unknown = Reflect.get(from, verb)
      return typeof value === 'function' ? value.bind(from) : value
    },
  })
}

function networkChecksOf(mutate: (right: NetworkPlugin, opened: number) => Partial<NetworkPlugin>): Checks {
  const run = async (check: (typeof networkChecks)[string]) => {
    let opened = 0
    const open = async (root: string) => {
      const right = await openNetworkPlugin(none, { root })
      return mutant(right, mutate(right, opened++))
    }
    const subject = new Subject({ open, ownNamespace: true })
    try {
      await check(subject, await subject.plugin())
    } finally {
      // A mutant may be unable to give back what it holds: that is its fault, and was seen or not by the check.
      await subject[Symbol.asyncDispose]().catch(() => {})
    }
  }
  return Object.fromEntries(Object.entries(networkChecks).map(([rule, check]) => [rule, () => run(check)]))
}

test('the plugins that are broken on purpose are right without it', { skip, timeout }, async () => {
  assert.equal(await caughtBy(snapshotterChecks(() => ({}))), undefined)
  assert.equal(await caughtBy(networkChecksOf(() => ({}))), undefined)
})

test('broken plugins are caught', { skip, timeout }, async t => {
  const rows: [mutant: string, by: string | undefined][] = []
  for (const [name, mutate] of Object.entries(snapshotterMutants))
    rows.push([`snapshotter: ${name}`, await caughtBy(snapshotterChecks(mutate))])
  for (const [name, mutate] of Object.entries(networkMutants))
    rows.push([`network: ${name}`, await caughtBy(networkChecksOf(mutate))])
  const caught = rows.filter(([, by]) => by !== undefined)
  for (const [name, by] of rows)
    t.diagnostic(`${by === undefined ? 'MISSED' : 'caught'}  ${name}  (${by ?? 'no rule'})`)
  t.diagnostic(`${caught.length} of ${rows.length} mutants caught`)
  assert.ok(rows.length >= 40)
  assert.ok(caught.length >= wantedShare * rows.length, `only ${caught.length} of ${rows.length} are caught`)
})
