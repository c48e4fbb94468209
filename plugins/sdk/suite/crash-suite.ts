/**
 * SIGKILL at every step of every verb: afterwards each snapshot is as it was or as the verb makes it, the verb can be
 * called again, and nothing is left that nobody owns.
 *
 *     crashSuite({ module: import.meta.resolve('./native.ts'), plugin: 'native', open: root => openSnapshotter(native, { root }) })
 */
import assert from 'node:assert/strict'
import { readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { isGantryError } from '#api/errors/errors.ts'
import { runDyingChild } from '#api/testing/dying-child.ts'
import type { SnapshotInfo } from '../snapshotter.ts'
import { Bench, type BenchPlace, type SnapshotterFactory } from './bench.ts'
import { type CrashOrder, type Verb, verbs } from './crash-child.ts'
import { describeTree } from './tree-compare.ts'
import { directory, file, remove } from './tree-steps.ts'

export interface CrashSubject extends Pick<CrashOrder, 'module' | 'plugin'> {
  open: SnapshotterFactory
  place?: () => BenchPlace
  /** Whether a snapshot has storage of its own. Default: all have. */
  ownsStorage?: (info: SnapshotInfo) => boolean
  /** Files of the lowest layer, to make its copy take a while. */
  files?: number
}

/** What a verb turns the names into. */
const outcome: Record<Verb, (names: ReadonlySet<string>) => Set<string>> = {
  prepare: names => new Set([...names, 'new']),
  'prepare on nothing': names => new Set([...names, 'new']),
  view: names => new Set([...names, 'new']),
  'view of nothing': names => new Set([...names, 'new']),
  commit: names => without('active', new Set([...names, 'new'])),
  remove: names => without('active', names),
  'remove a layer': names => without('leaf', names),
}

function without(name: string, names: ReadonlySet<string>): Set<string> {
  return new Set([...names].filter(other => other !== name))
}

/** Declares one test per verb, which dies once at each step. */
export function crashSuite(subject: CrashSubject): void {
  for (const verb of Object.keys(verbs) as Verb[])
    test(`killed at each step of: ${verb}`, { timeout: 300_000 }, async t => {
      const passed: string[] = []
      for (let at = 0; ; at++) {
        const step = await crashOnce(subject, { verb, at })
        if (step === undefined) break
        passed.push(step)
      }
      t.diagnostic(`${subject.plugin}, ${verb}: ${passed.join(', ')}`)
      assert.ok(passed.length >= 2, `only ${passed.length} steps: ${passed.join(', ')}`)
    })
}

/** Dies once and checks. Answers the step it died at; undefined when the verb ended first. */
export async function crashOnce(
  subject: CrashSubject,
  { verb, at, delayMs = 0 }: Pick<CrashOrder, 'verb' | 'at' | 'delayMs'>,
): Promise<string | undefined> {
  await using bench = await Bench.open(subject.open, subject.place?.())
  await build(bench, subject.files ?? 3)
  const before = await builtContents(subject, bench)
  await bench.snapshotter.close()

  const { module, plugin } = subject
  const step = await die({ module, plugin, root: bench.root, verb, at, delayMs })

  await bench.reopen()
  await bench.snapshotter.cleanup()
  const [was, becomes] = [new Set(before.keys()), outcome[verb](new Set(before.keys()))]
  const happened = await check(bench, before, [was, becomes])
  // Looking took views, whose storage may still be on its way out.
  await bench.snapshotter.cleanup()
  checkStorage(bench, await bench.list(), subject)
  if (step === undefined) assert.ok(happened, 'a verb that answered has happened')
  await again(bench, verb)
  assert.deepEqual(new Set((await bench.list()).map(info => info.name)), becomes, 'called again')
  await removeAll(bench)
  assert.deepEqual(readdirSync(join(bench.root, 'snapshots')), [], 'nothing is left when all are removed')
  return step
}

/** base ← top ← leaf, and `active` on top with a change of its own. */
async function build(bench: Bench, files: number): Promise<void> {
  const many = Array.from({ length: files }, (_, index) => file(`dir/file-${index}`, `content ${index}`))
  await bench.layer('base', '', [directory('dir'), ...many, file('gone', 'soon')])
  await bench.layer('top', 'base', [file('dir/more', 'more'), remove('gone')])
  await bench.layer('leaf', 'top', [file('leaf', 'leaf')])
  const mounts = await bench.snapshotter.prepare('active', 'top')
  await bench.mounted(mounts, place => writeFileSync(join(place, 'changed'), 'by the active one'))
}

const childMain = join(import.meta.dirname, 'crash-child.ts')

/** The step of death; undefined when it lived. */
async function die(order: CrashOrder): Promise<string | undefined> {
  const { steps, isKilled } = await runDyingChild(childMain, order)
  return isKilled ? steps.at(-1) : undefined
}

const built = new WeakMap<CrashSubject, Map<string, object>>()

/** What {@link build} makes is the same each time: looked at once. */
async function builtContents(subject: CrashSubject, bench: Bench): Promise<Map<string, object>> {
  const known = built.get(subject) ?? (await contents(bench))
  built.set(subject, known)
  return known
}

/** What each snapshot shows, by name. */
async function contents(bench: Bench): Promise<Map<string, object>> {
  const found = new Map<string, object>()
  for (const { name, kind } of await bench.list()) {
    if (kind === 'committed') await bench.viewed(name, place => void found.set(name, describeTree(place)))
    else await bench.mounted(await bench.snapshotter.mounts(name), place => void found.set(name, describeTree(place)))
  }
  return found
}

/** Answers whether the verb has happened: the names are those before, or those after, and none lost its content. */
async function check(
  bench: Bench,
  before: ReadonlyMap<string, object>,
  [was, becomes]: [Set<string>, Set<string>],
): Promise<boolean> {
  const now = await contents(bench)
  const names = new Set(now.keys())
  const happened = names.symmetricDifference(becomes).size === 0
  if (!happened) assert.deepEqual(names, was, 'wholly or not at all')
  for (const [name, tree] of before) if (now.has(name)) assert.deepEqual(now.get(name), tree, name)
  if (happened && was.has('active') && !becomes.has('active') && becomes.has('new'))
    assert.deepEqual(now.get('new'), before.get('active'), 'what was committed')
  if (names.has('active'))
    await bench.mounted(await bench.snapshotter.mounts('active'), place => writeFileSync(join(place, 'after'), ''))
  return happened
}

function checkStorage(bench: Bench, infos: readonly SnapshotInfo[], { ownsStorage = () => true }: CrashSubject): void {
  const owners = infos.filter(ownsStorage).map(info => info.name)
  const stored = readdirSync(join(bench.root, 'snapshots'))
  assert.equal(stored.length, owners.length, `storage ${stored.join(' ')} of ${owners.join(' ')}`)
}

/** A call that finds it has happened already is content with that. */
async function again(bench: Bench, verb: Verb): Promise<void> {
  try {
    await verbs[verb](bench.snapshotter)
  } catch (error) {
    if (!isGantryError(error, 'ALREADY_EXISTS') && !isGantryError(error, 'NOT_FOUND')) throw error
  }
}

/** Children first. */
async function removeAll(bench: Bench): Promise<void> {
  for (let left = await bench.list(); left.length > 0; left = await bench.list()) {
    const parents = new Set(left.map(info => info.parent))
    for (const { name } of left) if (!parents.has(name)) await bench.snapshotter.remove(name)
  }
  await bench.snapshotter.cleanup()
}
