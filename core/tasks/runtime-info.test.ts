import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { Options } from '#api/gen/containerd/runc/v1/options.ts'
import { RuntimeInfo, RuntimeRequest } from '#api/gen/containerd/types/introspection.ts'
import { Any } from '#api/gen/google/protobuf/any.ts'
import { runtimeInfo } from './runtime-info.ts'

const folder = await mkdtemp(join(tmpdir(), 'gantry-runtime-info-'))
after(() => rm(folder, { recursive: true, force: true }))
const path = process.env.PATH ?? '/usr/bin:/bin'
const parts = { shims: { folders: [folder], path: '' }, environment: { PATH: path } }

const shim = (name: string, script: string) =>
  writeFile(join(folder, `containerd-shim-${name}-v1`), `#!/bin/sh\n${script}\n`, { mode: 0o755 })

const question = (runtimePath: string, options?: Any) => ({
  typeUrl: 'containerd.types.RuntimeRequest',
  value: Buffer.from(RuntimeRequest.encode(RuntimeRequest.create({ runtimePath, options })).finish()),
})

test("a runtime's shim is asked with the options, and its answer passed on", async () => {
  const info = RuntimeInfo.fromPartial({ name: 'io.example.told.v1', version: { version: '7' } })
  await writeFile(join(folder, 'answer'), RuntimeInfo.encode(info).finish())
  await shim('told', `cat > ${folder}/asked; [ "$*" = -info ] && cat ${folder}/answer`)
  const options = {
    typeUrl: 'containerd.runc.v1.Options',
    value: Buffer.from(Options.encode(Options.create({ binaryName: '/x/crun' })).finish()),
  }
  const answer = await runtimeInfo(parts, question('io.example.told.v1', options))
  assert.equal(answer.typeUrl, 'containerd.types.RuntimeInfo')
  assert.deepEqual(RuntimeInfo.decode(answer.value), info)
  assert.deepEqual(Any.decode(await readFile(join(folder, 'asked'))), options)
})

test('no such runtime, no such question, a shim that knows no -info, and one that answers nonsense', async () => {
  await assert.rejects(runtimeInfo(parts, question('io.example.gone.v1')), { code: 'NOT_FOUND' })
  await assert.rejects(runtimeInfo(parts, { ...question('x'), typeUrl: 'example.Question' }), {
    code: 'NOT_IMPLEMENTED',
    message: /example\.Question/,
  })
  await shim('old', 'echo "flag provided but not defined: -info" >&2; exit 2')
  await assert.rejects(runtimeInfo(parts, question('io.example.old.v1')), {
    code: 'INTERNAL',
    message: /exit code 2.*flag provided but not defined/,
  })
  await shim('odd', 'printf "\\377\\377\\377"')
  await assert.rejects(runtimeInfo(parts, question('io.example.odd.v1')), { code: 'INTERNAL', message: /answered no/ })
})
