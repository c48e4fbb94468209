import assert from 'node:assert/strict'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { Options } from '#api/gen/containerd/runc/v1/options.ts'
import { resolveShim, servingRuntime } from './runtime-name.ts'

const dir = await mkdtemp(join(tmpdir(), 'gantry-runtime-name-'))
after(() => rm(dir, { recursive: true, force: true }))

async function program(folder: string, name: string, mode = 0o755): Promise<string> {
  await mkdir(join(dir, folder), { recursive: true })
  await writeFile(join(dir, folder, name), '', { mode })
  return join(dir, folder, name)
}

const beside = await program('bin', 'containerd-shim-gantry-v1')
const inPath = await program('path', 'containerd-shim-runc-v2')
await program('path', 'containerd-shim-gantry-v1')
const plain = await program('path', 'containerd-shim-plain-v1', 0o644)
const places = { folders: [join(dir, 'bin')], path: `relative:${join(dir, 'path')}` }

test('the last two parts of a name give the executable, beside the daemon first, then in PATH', async () => {
  assert.deepEqual(await resolveShim('io.containerd.gantry.v1', places), { path: beside })
  assert.deepEqual(await resolveShim('io.containerd.runc.v2', places), { path: inPath })
  assert.deepEqual(await resolveShim('gantry.v1', places), { path: beside })
  assert.deepEqual(await resolveShim(inPath, places), { path: inPath })
  assert.deepEqual(await resolveShim('gantry.v1', { ...places, overrides: { 'containerd-shim-gantry-v1': inPath } }), {
    path: inPath,
  })
})

test('what is no name, or no executable, is refused with it', async () => {
  await assert.rejects(resolveShim('runc', places), { code: 'INVALID_ARGUMENT', message: /"runc"/ })
  await assert.rejects(resolveShim('./a.b', places), { code: 'INVALID_ARGUMENT' })
  await assert.rejects(resolveShim('a/../../x.y', places), { code: 'INVALID_ARGUMENT' })
  await assert.rejects(resolveShim('io.containerd.plain.v1', places), {
    code: 'NOT_FOUND',
    message: /containerd-shim-plain-v1/,
  })
  await assert.rejects(resolveShim(plain, places), { code: 'NOT_FOUND', message: /not an executable/ })
})

test('a stand-in serves a name, but not where the options name an OCI runtime of their own', () => {
  const standIns = { 'io.containerd.runc.v2': 'io.containerd.gantry.v1' }
  const served = (options?: { binaryName: string }, name = 'io.containerd.runc.v2') => {
    const value = Buffer.from(Options.encode(Options.fromPartial(options ?? {})).finish())
    return servingRuntime(name, options && { typeUrl: 'containerd.runc.v1.Options', value }, { ...places, standIns })
  }
  assert.equal(served(), 'io.containerd.gantry.v1')
  for (const binaryName of ['', 'runc']) assert.equal(served({ binaryName }), 'io.containerd.gantry.v1')
  for (const binaryName of ['crun', '/usr/sbin/runc']) assert.equal(served({ binaryName }), 'io.containerd.runc.v2')
  assert.equal(served(undefined, '/usr/bin/containerd-shim-runc-v2'), '/usr/bin/containerd-shim-runc-v2')
  assert.equal(servingRuntime('constructor', undefined, places), 'constructor')
})
