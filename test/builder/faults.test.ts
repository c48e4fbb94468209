/** What a build must survive: large contexts, clients that go, registries that do not answer, caches that are given up. */
import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { test } from 'node:test'
import { eventually } from '../interop/container-verbs.ts'
import { base, building, build as buildOn, skip } from './building.ts'

const own = building()
const mebibyte = 1024 * 1024

async function builderPid(): Promise<number> {
  const plugins = JSON.parse((await own.daemon.run('--format', 'json', 'plugins', 'ls')).stdout)
  return plugins.find((plugin: { id: string }) => plugin.id === 'dockerfile').pid
}

/** VmHWM or VmRSS of /proc/PID/status, in bytes (proc(5)). */
async function memory(pid: number, field: 'VmHWM' | 'VmRSS'): Promise<number> {
  const text = await readFile(`/proc/${pid}/status`, 'utf8')
  return Number(new RegExp(`${field}:\\s+(\\d+)`).exec(text)?.[1]) * 1024
}

test('a large context is streamed, not held', { skip }, async t => {
  await own.build([`FROM ${base}`])
  const pid = await builderPid()
  const idle = await memory(pid, 'VmRSS')
  const content = Buffer.alloc(64 * mebibyte, 'context ')
  const files = Object.fromEntries(['a', 'b', 'c', 'd'].map(name => [name, content]))
  await own.build([`FROM ${base}`, 'COPY . /all/'], files)
  const over = Math.round(((await memory(pid, 'VmHWM')) - idle) / mebibyte)
  t.diagnostic(`256 MiB of context: ${over} MiB over idle`)
  assert.ok(over <= 150, `${over} MiB over idle`)
})

test('a client that goes ends its build, and leaves nothing', { skip }, async () => {
  const stop = new AbortController()
  const files = { Dockerfile: `FROM ${base}\nRUN sleep 1000\n` }
  const cut = assert.rejects(buildOn(own.daemon.address, files, {}, { signal: stop.signal }))
  await eventually(async () => assert.match((await own.daemon.run('tasks', 'ls')).stdout, /build-/))
  stop.abort()
  await cut
  await eventually(async () => {
    assert.doesNotMatch((await own.daemon.run('containers', 'ls')).stdout, /build-/)
    assert.doesNotMatch((await own.daemon.run('--format', 'json', 'snapshots', 'ls')).stdout, /active|view/i)
  })
})

test('a registry that is not there; stages that need themselves', { skip }, async () => {
  await assert.rejects(own.build(['FROM 127.0.0.1:1/none:1']), { code: 'UNAVAILABLE', message: /127\.0\.0\.1:1/ })
  const circle = [`FROM ${base} AS a`, 'COPY --from=b /x /x', `FROM ${base} AS b`, 'COPY --from=a /x /x']
  await assert.rejects(own.build(circle), { code: 'INVALID_ARGUMENT', message: /circular dependency: stage "b"/ })
  await assert.rejects(own.build([`FROM ${base} AS a`, 'COPY --from=a /x /x']), { message: /circular dependency/ })
})

test('prune gives up steps and mounts, whatever namespace they are of', { skip }, async () => {
  const lines = [`FROM ${base}`, 'RUN --mount=type=cache,target=/c echo x > /c/f; echo y > /y']
  await own.build(lines)
  const listed = async () => JSON.parse((await own.daemon.run('--format', 'json', 'builder', 'ls')).stdout)
  assert.ok((await listed()).some(({ key }: { key: string }) => key.startsWith('mount-')))
  const pinned = async () => (await own.daemon.run('--format', 'json', 'snapshots', 'ls')).stdout
  assert.match(await pinned(), /gc\.root/)
  await own.daemon.run('builder', 'prune')
  assert.deepEqual(await listed(), [])
  assert.doesNotMatch(await pinned(), /gc\.root/)
  const { steps } = await own.build(lines)
  assert.equal(steps[1]?.cached, false)
})
