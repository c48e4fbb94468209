/**
 * SIGKILL of gantryd at every step of what an administrator does with plugins: afterwards it has happened or it has not, it
 * can be done again, and nothing is left that nobody owns: no process (the plugin has forked one that would live for ever),
 * no cgroup, folder or socket. GANTRY_CRASH_ALL: also the verbs whose steps are those of others.
 */
import assert from 'node:assert/strict'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { cp, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { isGantryError } from '#api/errors/errors.ts'
import { runDyingChild } from '#api/testing/dying-child.ts'
import { administered } from './testing/administered.ts'
import { type CrashOrder, name, type Verb, verbs } from './testing/crash-child.ts'
import { samplePlugin } from './testing/supervised.ts'

const timeout = 600_000
const skip = process.getuid?.() === 0 ? false : 'needs root: cgroups'
/** Their steps are among those of upgrade, and of purge. */
const alike: readonly Verb[] = process.env.GANTRY_CRASH_ALL === undefined ? ['enable', 'rollback', 'remove'] : []

type Place = Pick<CrashOrder, 'home' | 'cgroup' | 'versions'>
type Parts = Awaited<ReturnType<typeof administered>>

/** What there is to see of the plugin: its version and whether it may run; and of its data. */
interface View {
  plugin: string
  data: boolean
}

function viewOf({ home }: Place, { supervisor }: Parts): View {
  const row = supervisor.list().find(({ id }) => id === name.id)
  const version = /network-paper-([\d.]+)\/plugin\.toml$/.exec(row?.origin ?? '')?.[1]
  const plugin = row === undefined ? 'none' : `${version} ${row.state === 'disabled' ? 'disabled' : 'enabled'}`
  return { plugin, data: existsSync(join(home, 'root/networks/paper')) }
}

for (const verb of (Object.keys(verbs) as Verb[]).filter(name => !alike.includes(name)))
  test(`killed at each step of: ${verb}`, { skip, timeout }, async t => {
    const home = await mkdtemp(join(tmpdir(), 'gantry-crash-'))
    const place: Place = { home, cgroup: `gantry-test-${process.pid}-${verb}/plugins`, versions: await versions(home) }
    try {
      const [was, becomes] = await prepare(place, verb)
      const passed: string[] = []
      for (let at = 0; ; at++) {
        const step = await crashOnce({ ...place, verb, at }, [was, becomes])
        if (step === undefined) break
        passed.push(step)
      }
      t.diagnostic(`${verb}: ${passed.join(', ')}`)
      assert.ok(passed.length >= 2)
    } finally {
      await rm(home, { recursive: true, force: true })
    }
  })

async function versions(home: string): Promise<[string, string]> {
  const paths = ['1.0.0', '2.0.0'].map(version => join(home, `source-${version}`))
  for (const path of paths) {
    const lines = [`id = "paper"`, 'kind = "network"', `version = "${path.slice(-5)}"`, 'linux_capabilities = []']
    await mkdir(path)
    await writeFile(join(path, 'plugin.toml'), [...lines, `executable = ${JSON.stringify([samplePlugin])}`].join('\n'))
  }
  return [paths[0] ?? '', paths[1] ?? '']
}

/** Folders as before the verb go to `home`.saved; answers what is to be seen before it and after it. */
async function prepare(place: Place, verb: Verb): Promise<[View, View]> {
  await using saved = await administered(place)
  await verbs[verb].before(saved, place.versions)
  if (viewOf(place, saved).plugin.endsWith('enabled')) await saved.supervisor.network(name.id).status({})
  const was = viewOf(place, saved)
  await saved[Symbol.asyncDispose]()
  await copyFolders(place.home, 'root', 'saved')
  const after = await administered(place)
  await verbs[verb].verb(after, place.versions)
  const becomes = viewOf(place, after)
  await after[Symbol.asyncDispose]()
  assert.notDeepEqual(was, becomes)
  return [was, becomes]
}

async function copyFolders(home: string, from: string, to: string): Promise<void> {
  await rm(join(home, to), { recursive: true, force: true })
  await cp(join(home, from), join(home, to), { recursive: true })
}

async function crashOnce(order: CrashOrder, [was, becomes]: [View, View]): Promise<string | undefined> {
  await copyFolders(order.home, 'saved', 'root')
  const step = await die(order)
  const parts = await administered(order)
  try {
    const view = viewOf(order, parts)
    const where = `after ${step ?? 'all of it'}`
    if (step === undefined || step === 'answered') assert.deepEqual(view, becomes, where)
    else if (view.plugin === was.plugin) assert.ok(view.data || !was.data, `${where}: its data is gone, it is not`)
    else assert.deepEqual(view, becomes, where)
    if (view.plugin.endsWith('enabled')) await parts.supervisor.network(name.id).status({})
    if (view.plugin === was.plugin) await again(order, parts)
    assert.equal(viewOf(order, parts).plugin, becomes.plugin, `${where}, and called again`)
    checkFolders(order.home, where)
  } finally {
    await parts[Symbol.asyncDispose]()
  }
  await checkNothingRuns(order)
  return step
}

/** What an upgrade had installed without choosing it is there already. */
async function again({ verb, versions }: CrashOrder, parts: Parts): Promise<void> {
  try {
    await verbs[verb].verb(parts, versions)
  } catch (error) {
    if (verb !== 'upgrade' || !isGantryError(error, 'ALREADY_EXISTS')) throw error
    await parts.administration.upgrade(name, { version: '2.0.0' })
  }
}

function checkFolders(home: string, where: string): void {
  const entries = (folder: string) => entriesOf(home, folder)
  const half = [...entries('root/plugins'), ...entries('root/networks'), ...entries('state/networks')].filter(
    entry => entry.startsWith('.') || entry.includes('.trial'),
  )
  assert.deepEqual(half, [], where)
  assert.ok(entries('state/networks').filter(entry => entry.endsWith('.sock')).length <= 1, where)
}

async function checkNothingRuns({ home, cgroup }: CrashOrder): Promise<void> {
  // What was killed takes a moment to be gone.
  for (const deadline = Date.now() + 20_000; runningFrom(home).length > 0 && Date.now() < deadline; ) await sleep(20)
  assert.deepEqual(runningFrom(home), [])
  const left = readFileSync('/proc/self/mounts', 'utf8')
    .split('\n')
    .map(line => line.split(' '))
    .flatMap(([, mountPoint = '', type]) => (type?.startsWith('cgroup') ? [join(mountPoint, cgroup)] : []))
    .filter(path => existsSync(path))
  assert.deepEqual(left, [])
  assert.deepEqual(entriesOf(home, 'state/networks').filter(isRunFile), [])
}

const isRunFile = (entry: string) => entry.endsWith('.sock') || entry.endsWith('.pid')

function entriesOf(home: string, folder: string): string[] {
  return existsSync(join(home, folder)) ? readdirSync(join(home, folder)) : []
}

/** By what their environment says of where they live: a plugin's children inherit it. */
function runningFrom(home: string): string[] {
  return readdirSync('/proc')
    .filter(entry => /^\d+$/.test(entry))
    .filter(pid => {
      try {
        return readFileSync(`/proc/${pid}/environ`, 'utf8').includes(`GANTRY_PLUGIN_ROOT=${home}/`)
      } catch {
        return false
      }
    })
}

const childMain = join(import.meta.dirname, 'testing/crash-child.ts')

/** The step of death; undefined when it lived. */
async function die(order: CrashOrder): Promise<string | undefined> {
  const { steps, isKilled } = await runDyingChild(childMain, order)
  return isKilled ? steps.at(-1) : undefined
}
