/** Layers of random changes, packed from the upper directory and unpacked beside: redirects, opaque directories and copied metadata are resolved. */
import assert from 'node:assert/strict'
import {
  chmodSync,
  chownSync,
  linkSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { directTree } from '#api/sys/layer-tree.ts'
import { applyLayer, createLayer, mount, unmount } from '#api/sys/sys.ts'
import { openSnapshotter } from '#sdk/define-snapshotter.ts'
import type { Mount } from '#sdk/snapshotter.ts'
import { describeTree } from '#sdk/suite/tree-compare.ts'
import { overlayfs } from './overlayfs.ts'

const skip = process.getuid?.() === 0 ? false : 'needs root: it mounts'
const layers = 6
const changesPerLayer = 25

/** Numbers below a bound, the same ones for the same seed. */
function dice(seed: number): (bound: number) => number {
  let state = seed
  return bound => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7fffffff
    return (state >>> 16) % bound
  }
}

function pathsIn(root: string, below = '.'): string[] {
  return readdirSync(join(root, below)).flatMap(name => {
    const path = join(below, name)
    return lstatSync(join(root, path)).isDirectory() ? [path, ...pathsIn(root, path)] : [path]
  })
}

/** One change somewhere below; what cannot be done there is not. */
function change(root: string, roll: (bound: number) => number): void {
  const paths = pathsIn(root)
  const folders = ['.', ...paths.filter(path => lstatSync(join(root, path)).isDirectory())]
  const place = join(root, folders[roll(folders.length)] ?? '.', `n${roll(8)}`)
  const found = join(root, paths[roll(Math.max(1, paths.length))] ?? 'nothing')
  const changes = [
    () => mkdirSync(place),
    () => mkdirSync(place),
    () => writeFileSync(place, `content ${roll(1000)}`),
    () => renameSync(found, place),
    () => renameSync(found, place),
    () => rmSync(found, { recursive: true }),
    () => lstatSync(found).isSymbolicLink() || chownSync(found, roll(3), roll(3)),
    () => lstatSync(found).isSymbolicLink() || chmodSync(found, 0o700 + roll(64)),
    () => linkSync(found, place),
    () => symlinkSync(`target-${roll(5)}`, place),
  ]
  try {
    changes[roll(changes.length)]?.()
  } catch (error) {
    // EXDEV is not among these: a directory of a lower layer can be renamed.
    if (!/^(EEXIST|ENOTEMPTY|EINVAL|ENOTDIR|EISDIR|ENOENT|EPERM|ELOOP):/.test(String((error as Error).message)))
      throw error
  }
}

async function unpackUpper(mounts: readonly Mount[], archive: string, target: string): Promise<void> {
  const upper = directTree(mounts)
  assert.ok(upper)
  const { path, lowers, userxattr } = upper
  await createLayer({
    upper: path,
    lowers: [...lowers],
    mode: 'overlay',
    userxattr,
    output: archive,
    compression: 'none',
  })
  await applyLayer({ source: archive, compression: 'none', target, format: 'plain', lowers: [], sync: false })
}

/** What a container notices, but for the root itself. */
function contents(root: string): Record<string, string> {
  const { '.': _root, ...rest } = describeTree(root)
  return rest
}

for (const metacopy of [false, true])
  test(`random layers are exported as they look${metacopy ? ', with metacopy' : ''}`, { skip }, async () => {
    for (const seed of [1, 7, 99, 2026]) {
      const roll = dice(seed)
      await using undo = new AsyncDisposableStack()
      const home = await mkdtemp(join(tmpdir(), 'gantry-export-'))
      undo.defer(() => rm(home, { recursive: true, force: true }))
      const [root, plain, place] = ['root', 'plain', 'place'].map(name => join(home, name)) as [string, string, string]
      for (const folder of [root, plain, place]) mkdirSync(folder)
      const snapshotter = await openSnapshotter(overlayfs, { root, config: { metacopy } })
      undo.defer(() => snapshotter.close())
      for (let layer = 0; layer < layers; layer++) {
        const mounts = await snapshotter.prepare(`key-${layer}`, layer === 0 ? '' : `layer-${layer - 1}`)
        await mount(mounts, place)
        try {
          for (let times = 0; times < changesPerLayer; times++) change(place, roll)
          await unpackUpper(mounts, join(home, `archive-${layer}`), plain)
          assert.deepEqual(contents(plain), contents(place), `seed ${seed}, layer ${layer}`)
        } finally {
          await unmount(place)
        }
        await snapshotter.commit(`layer-${layer}`, `key-${layer}`)
      }
    }
  })
