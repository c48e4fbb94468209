/** The conformance kit as its users run it: `gctr plugins check` against addresses. */
import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { connect } from '#api/rpc/client.ts'
import { snapshotClient } from '#sdk/snapshot-client.ts'
import { patience } from '../daemon/patience.ts'
import { runCommand } from '../daemon/run-command.ts'

const timeout = 300_000 * patience
const skip = process.getuid?.() === 0 ? false : 'needs root: it mounts'
const repo = join(import.meta.dirname, '../..')

/** In memory: nothing here needs to outlive a crash, and there is no disk to wait for. */
const memory = existsSync('/dev/shm') ? '/dev/shm' : tmpdir()

const check = (...args: string[]) =>
  runCommand([process.execPath, join(repo, 'cmd/gctr/main.ts'), 'plugins', 'check', ...args], {
    timeoutMs: timeout,
    env: { TMPDIR: memory },
  })

class Running implements AsyncDisposable {
  readonly address: string
  readonly folder: string
  readonly #process: ChildProcess

  private constructor(folder: string, path: string) {
    this.folder = folder
    this.address = join(folder, 's.sock')
    const args = ['--address', this.address, '--root', join(folder, 'root'), '--log-level', 'error']
    this.#process = spawn(process.execPath, [join(repo, 'plugins', path, 'main.ts'), ...args], { stdio: 'inherit' })
  }

  static async start(path: string): Promise<Running> {
    const running = new Running(await mkdtemp(join(memory, 'gantry-kit-')), path)
    for (const deadline = Date.now() + 30_000 * patience; !existsSync(running.address); await sleep(20))
      assert.ok(Date.now() < deadline, `${path} did not come up`)
    return running
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const ended = once(this.#process, 'exit')
    this.#process.kill('SIGTERM')
    await ended
    await rm(this.folder, { recursive: true, force: true })
  }
}

interface Report {
  verdicts: { rule: string; text: string; outcome: string; expected: string; seen: string; message: string }[]
}

test('a snapshotter that keeps all rules: exit code 0, and all is written down', { skip, timeout }, async () => {
  await using running = await Running.start('snapshotters/overlayfs')
  const junit = join(running.folder, 'report.xml')
  const { code, stdout, stderr } = await check('--kind', 'snapshotter', '--junit', junit, running.address)
  assert.equal(code, 0, stdout + stderr)
  const [, kept, all] = /^(\d+) of (\d+) rules kept$/m.exec(stdout) ?? []
  assert.equal(kept, all)
  assert.ok(Number(all) > 25)
  const xml = await readFile(junit, 'utf8')
  assert.match(xml, new RegExp(`<testsuites tests="${all}" failures="0"`))
  assert.equal(xml.match(/<testcase /g)?.length, Number(all))
})

test('a broken rule is named, with what was expected and seen: exit code 1', { skip, timeout }, async () => {
  await using running = await Running.start('networks/none')
  assert.equal((await check('--kind', 'network', running.address)).code, 0)
  await using snapshotter = await Running.start('snapshotters/overlayfs')
  // A snapshotter that shares, judged as one that copies.
  const { code, stdout } = await check('--kind', 'snapshotter', '--copies', '--json', snapshotter.address)
  assert.equal(code, 1)
  const { verdicts } = JSON.parse(stdout) as Report
  const failed = verdicts.filter(({ outcome }) => outcome === 'failed')
  assert.deepEqual(
    failed.map(({ rule }) => rule),
    ['usage-counts-a-whole-tree'],
  )
  assert.match(failed[0]?.message ?? '', /child: \d+ bytes, \d+ inodes/)
})

test('what cannot be judged: exit code 2', { skip, timeout }, async () => {
  const nobody = await check('--kind', 'snapshotter', '/nonexistent.sock')
  assert.equal(nobody.code, 2)
  assert.match(nobody.stderr, /ENOENT/)
  await using running = await Running.start('snapshotters/overlayfs')
  const snapshotter = snapshotClient(connect(running.address), 'overlayfs')
  await snapshotter.prepare('mine', '')
  const used = await check('--kind', 'snapshotter', running.address)
  assert.equal(used.code, 2)
  assert.match(used.stderr, /is in use \(it holds 1 snapshots\).*empty root/)
  assert.equal((await snapshotter.stat('mine')).kind, 'active')
  await snapshotter.close()
})
