import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ipcNamespace, parseIpcMode, shmMounts, shmOwner } from './ipc.ts'

const shmOf = (mode: string) => shmMounts(parseIpcMode(mode), 4096n)[0]

test("Docker's five modes, and each one's namespace and /dev/shm", () => {
  assert.deepEqual(ipcNamespace(parseIpcMode('shareable')), { kind: 'private' })
  assert.deepEqual(ipcNamespace(parseIpcMode('none')), { kind: 'private' })
  assert.deepEqual(ipcNamespace(parseIpcMode('container:x')), { kind: 'container', id: 'x' })
  assert.equal(shmOf('none'), undefined)
  assert.equal(shmOf('host')?.source, '/dev/shm')
  assert.ok(shmOf('private')?.options.includes('size=4096'))
  assert.ok(shmMounts(parseIpcMode(''), 0n)[0]?.options.includes('size=67108864'))
  assert.throws(() => parseIpcMode('shared'), { code: 'INVALID_ARGUMENT' })
})

test('what is shared has a stand-in until the task is created', () => {
  assert.equal(shmOwner({ source: shmOf('shareable')?.source ?? '' }), '')
  assert.equal(shmOwner({ source: shmOf('container:x')?.source ?? '' }), 'x')
  assert.equal(shmOwner({ source: shmOf('host')?.source ?? '' }), undefined)
})
