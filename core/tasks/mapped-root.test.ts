import assert from 'node:assert/strict'
import { mkdtemp, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { bundleOf, claimBundle, fillBundle } from './bundle.ts'

const skip = process.getuid?.() === 0 ? false : 'needs root: it gives files away'

async function modeAndGroup(linux: object): Promise<[string, number]> {
  const folder = await mkdtemp(join(tmpdir(), 'gantry-bundle-'))
  try {
    const bundle = bundleOf({ root: join(folder, 'lib'), state: join(folder, 'run') }, 'n', 'c')
    await claimBundle(bundle)
    await fillBundle(bundle, Buffer.from(JSON.stringify({ linux })), '/bin/shim')
    const { mode, uid, gid } = await stat(bundle.path)
    assert.equal(uid, 0)
    return [(mode & 0o777).toString(8), gid]
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

const mapped = (...mappings: [number, number][]) => ({
  gidMappings: mappings.map(([containerID, hostID]) => ({ containerID, hostID, size: 10 })),
})

test("a bundle is root's alone, but for the root of a user namespace, who may pass", { skip }, async () => {
  assert.deepEqual(await modeAndGroup({}), ['700', 0])
  assert.deepEqual(await modeAndGroup(mapped([5, 9000], [0, 7000])), ['710', 7000])
  assert.deepEqual(await modeAndGroup(mapped([0, 0], [20, 2000])), ['700', 0], 'its root is root')
  assert.deepEqual(await modeAndGroup(mapped([1, 7000])), ['700', 0], 'it has no root')
})
