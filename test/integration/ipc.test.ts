/** /dev/shm and the IPC namespace in Docker's five modes: shared by who joins, owned by who was asked for it, gone with it. */
import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { Daemon } from '../daemon/daemon.ts'
import { ContainerClient } from './container-client.ts'
import { requireGone } from './leftovers.ts'

const skip = process.getuid?.() !== 0 && 'needs root'
const networks = [{ network: 'none' }]
let daemon: Daemon
let image: string

before(async () => {
  if (skip) return
  daemon = await Daemon.start()
  image = await daemon.importBusybox()
})

after(async () => {
  await daemon?.[Symbol.asyncDispose]()
})

const sleeps = { args: ['sleep', '1000'] }
const runs = (script: string) => ({ args: ['sh', '-c', script] })

test('shareable memory is the joiners’ too, outlives us and its owner, and leaves nothing', { skip }, async () => {
  const client = new ContainerClient(daemon)
  const shared = { image, networks, ipcMode: 'shareable', shmSizeBytes: 1n << 20n }
  await client.start({ ...shared, id: 'donor', process: sleeps })
  assert.equal((await client.exec('donor', ['sh', '-c', 'echo from donor > /dev/shm/f'])).exitCode, 0)
  assert.match((await client.exec('donor', ['busybox', 'df', '-k', '/dev/shm'])).stdout, /\s1024\s/)
  const joined = { image, networks, ipcMode: 'container:donor' }
  const script = 'cat /dev/shm/f; busybox readlink /proc/self/ns/ipc; echo back > /dev/shm/g'
  const { stdout } = await client.run({ ...joined, process: runs(script) })
  const ipcOfDonor = (await client.exec('donor', ['busybox', 'readlink', '/proc/self/ns/ipc'])).stdout
  assert.equal(stdout, `from donor\n${ipcOfDonor}`)
  await client.start({ ...joined, id: 'joiner', process: sleeps })
  client.channel.close()
  await daemon.kill()
  await daemon.start()
  using again = new ContainerClient(daemon)
  assert.equal((await again.exec('joiner', ['cat', '/dev/shm/g'])).stdout, 'back\n')
  const late = await again.run({ ...joined, process: runs('cat /dev/shm/f') })
  assert.equal(late.stdout, 'from donor\n')
  await again.end('donor')
  await requireGone(daemon, 'donor', path => path.includes('joiner'))
  assert.equal((await again.exec('joiner', ['cat', '/dev/shm/f'])).stdout, 'from donor\n')
  await again.end('joiner')
  await requireGone(daemon, 'joiner')
})

test('what is private is not joined; a failed start takes its memory along', { skip }, async () => {
  using client = new ContainerClient(daemon)
  await client.start({ image, networks, id: 'private', process: sleeps })
  await assert.rejects(client.run({ image, networks, id: 'refused', ipcMode: 'container:private', process: sleeps }), {
    code: 'FAILED_PRECONDITION',
    message: /^can't join IPC of container private: non-shareable IPC \(hint: use IpcMode:shareable/,
  })
  await client.records.delete({ id: 'refused' })
  await client.end('private')
  const broken = { image, networks, id: 'broken', ipcMode: 'shareable', process: { args: ['/no/such/program'] } }
  await assert.rejects(client.run(broken), /no\/such\/program/)
  await client.records.delete({ id: 'broken' })
  for (const id of ['private', 'refused', 'broken']) await requireGone(daemon, id)
})

test('none has no /dev/shm, host has the host’s', { skip }, async () => {
  using client = new ContainerClient(daemon)
  const none = await client.run({ image, networks, ipcMode: 'none', process: runs('grep -c /dev/shm /proc/mounts') })
  assert.equal(none.stdout, '0\n')
  const file = join('/dev/shm', `gantry-test-${process.pid}`)
  await writeFile(file, 'of the host')
  try {
    const host = await client.run({ image, networks, ipcMode: 'host', process: runs(`cat ${file}; rm ${file}`) })
    assert.equal(host.stdout, 'of the host')
    assert.equal(existsSync(file), false)
  } finally {
    await rm(file, { force: true })
  }
})
