/** What a plugin's process has, and what it has not. */
import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import { test } from 'node:test'
import { supervise } from './testing/supervised.ts'

const timeout = 60_000
const skip = process.getuid?.() === 0 ? false : 'needs root: capabilities and cgroups'

const statusOf = (pid: number, key: string) =>
  new RegExp(`^${key}:\\s*(\\S+)$`, 'm').exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? ''

const chown = 1n << 0n
const netAdmin = 1n << 12n

test('it has the capabilities it declares and can get no more', { skip, timeout }, async () => {
  await using s = await supervise([{ id: 'one', more: { linuxCapabilities: ['CHOWN', 'NET_ADMIN'] } }])
  await s.plugins.channelFor('network', 'one')
  const { pid } = s.row('one')
  for (const set of ['CapPrm', 'CapEff', 'CapBnd'])
    assert.equal(BigInt(`0x${statusOf(pid, set)}`), chown | netAdmin, set)
  for (const set of ['CapInh', 'CapAmb']) assert.equal(BigInt(`0x${statusOf(pid, set)}`), 0n, set)
  assert.equal(statusOf(pid, 'NoNewPrivs'), '1')
})

test('it lives in a cgroup of its own, within its limits, that ends with it', { skip, timeout }, async t => {
  const limits = { memoryBytes: 512 * 1024 * 1024, pids: 77, cpus: 1.5 }
  await using s = await supervise([{ id: 'one', more: { linuxCapabilities: [], limits } }])
  try {
    await s.plugins.channelFor('network', 'one')
  } catch (error) {
    if (/cannot be set/.test(String(error))) return t.skip(`no cgroup can be made here: ${error}`)
    throw error
  }
  const { pid } = s.row('one')
  const own = `/gantry-test-${process.pid}/plugins/network-one`
  const lines = readFileSync(`/proc/${pid}/cgroup`, 'utf8').trim().split('\n')
  assert.ok(
    lines.some(line => line.endsWith(own)),
    lines.join('\n'),
  )
  const values = foldersOf(own).flatMap(folder =>
    ['memory.max', 'memory.limit_in_bytes', 'pids.max'].flatMap(file => read(`${folder}/${file}`)),
  )
  assert.ok(values.includes(String(limits.memoryBytes)) && values.includes('77'), values.join())
  const cpu = foldersOf(own).flatMap(folder => [...read(`${folder}/cpu.max`), ...read(`${folder}/cpu.cfs_quota_us`)])
  assert.ok(cpu.includes('150000 100000') || cpu.includes('150000'), cpu.join())
  await s.plugins.stop()
  assert.deepEqual(foldersOf(own).filter(existsSync), [])
  assert.deepEqual(foldersOf(`/gantry-test-${process.pid}`).filter(existsSync), [])
})

/** Wherever a hierarchy is mounted. */
function foldersOf(path: string): string[] {
  return readFileSync('/proc/self/mounts', 'utf8')
    .split('\n')
    .map(line => line.split(' '))
    .flatMap(([, mountPoint = '', type]) => (type === 'cgroup' || type === 'cgroup2' ? [`${mountPoint}${path}`] : []))
}

function read(path: string): string[] {
  return existsSync(path) ? [readFileSync(path, 'utf8').trim()] : []
}

test('a limit that is broken ends the plugin, not the host: it comes back', { skip, timeout }, async () => {
  const more = { linuxCapabilities: [], limits: { pids: 1 } }
  await using s = await supervise([{ id: 'one', more }], { timing: { maxFailures: 1 } })
  await assert.rejects(s.plugins.channelFor('network', 'one'), { code: 'UNAVAILABLE' })
  assert.match(s.row('one').lastError, /before it served|cannot be set/)
})
