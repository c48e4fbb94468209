/** The same suite against the executable, over its socket; and what only a process can do: be killed. */
import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, readdirSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { SnapshotsDefinition } from '#api/gen/containerd/services/snapshots/v1/snapshots.ts'
import { HealthDefinition } from '#api/gen/grpc/health/v1/health.ts'
import { connect, createClient } from '#api/rpc/client.ts'
import { snapshotClient } from '#sdk/snapshot-client.ts'
import type { Snapshotter } from '#sdk/snapshotter.ts'
import { snapshotterSuite } from '#sdk/snapshotter-suite.ts'

const main = join(import.meta.dirname, 'main.ts')
const needsRoot = process.getuid?.() === 0 ? false : 'needs root: it mounts'

async function start(root: string): Promise<{ child: ChildProcess; snapshotter: Snapshotter }> {
  const address = join(root, 's.sock')
  await rm(address, { force: true })
  const args = [main, '--address', address, '--root', root, '--log-level', 'error']
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'inherit', 'inherit'] })
  try {
    await untilServing(child, address)
    return { child, snapshotter: snapshotClient(connect(address), 'overlayfs') }
  } catch (error) {
    child.kill('SIGKILL')
    throw error
  }
}

async function untilServing(child: ChildProcess, address: string): Promise<void> {
  for (const deadline = Date.now() + 10_000; !(existsSync(address) && (await answers(address))); await sleep(10)) {
    if (child.exitCode !== null) throw new Error(`the snapshotter ended with code ${child.exitCode} before it served`)
    if (Date.now() > deadline) throw new Error('the snapshotter did not serve within 10 s')
  }
}

async function answers(address: string): Promise<boolean> {
  using channel = connect(address)
  const { check } = createClient(HealthDefinition, channel)
  return await check({ service: SnapshotsDefinition.fullName }).then(
    () => true,
    () => false,
  )
}

/** Closing ends the process and waits for it: the next one may use the root. */
async function startForSuite(root: string): Promise<Snapshotter> {
  const { child, snapshotter } = await start(root)
  const close = async () => {
    await snapshotter.close()
    if (child.exitCode !== null || child.signalCode !== null) return
    child.kill('SIGTERM')
    const [code] = await once(child, 'exit')
    assert.equal(code, 0, 'a clean end')
  }
  return { ...snapshotter, close }
}

snapshotterSuite('overlayfs, over its socket', startForSuite)

test('SIGKILL at any instant loses nothing and leaves only rubbish that goes', {
  skip: needsRoot,
  timeout: 60_000,
}, async () => {
  const home = await mkdtemp(join(tmpdir(), 'gantry-kill-'))
  const root = join(home, 'root')
  mkdirSync(root)
  const answered = new Map<string, 'active' | 'committed' | 'gone'>()
  try {
    for (let round = 0; round < 8; round++) {
      const { child, snapshotter } = await start(root)
      const cutShort = assert.rejects(churn(snapshotter, round, answered), { code: 'UNAVAILABLE' })
      await sleep(20 + round * 17)
      child.kill('SIGKILL')
      await once(child, 'exit')
      await cutShort
      await snapshotter.close()
    }
    await verify(root, answered)
  } finally {
    await rm(home, { recursive: true, force: true })
  }
})

/** Prepares, commits and removes until the connection breaks; notes what was answered, and forgets what was in flight. */
async function churn(
  s: Snapshotter,
  round: number,
  answered: Map<string, 'active' | 'committed' | 'gone'>,
): Promise<never> {
  for (let index = 0; ; index++) {
    const key = `${round}-${index}`
    await s.prepare(key, '')
    answered.set(key, 'active')
    if (index % 3 === 0) continue
    answered.delete(key)
    await s.commit(`${key}-done`, key)
    answered.set(`${key}-done`, 'committed')
    if (index % 3 === 1) continue
    answered.delete(`${key}-done`)
    await s.remove(`${key}-done`)
    answered.set(`${key}-done`, 'gone')
  }
}

async function verify(root: string, answered: ReadonlyMap<string, 'active' | 'committed' | 'gone'>): Promise<void> {
  const { child, snapshotter } = await start(root)
  await snapshotter.cleanup()
  assert.ok(answered.size > 20, `only ${answered.size} calls were answered: nothing was tried`)
  let living = 0
  const sources = new Set<string>()
  for await (const info of snapshotter.list()) {
    living++
    const wanted = answered.get(info.name)
    if (wanted !== undefined) assert.equal(info.kind, wanted, info.name)
    if (info.kind !== 'active') continue
    const [mount] = await snapshotter.mounts(info.name)
    assert.ok(mount && existsSync(mount.source), `storage of ${info.name}`)
    sources.add(mount.source)
  }
  for (const [name, wanted] of answered)
    if (wanted !== 'gone') assert.equal((await snapshotter.stat(name)).kind, wanted, name)
  assert.equal(readdirSync(join(root, 'snapshots')).length, living, 'storage without a snapshot was swept')
  await snapshotter.close()
  child.kill('SIGTERM')
  await once(child, 'exit')
}
