/** Checks of what a stack of snapshots shows once it is really mounted, beside a plain directory that took the same steps. */
import assert from 'node:assert/strict'
import { statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Bench } from './bench.ts'
import { describeTree } from './tree-compare.ts'
import { applySteps, directory, file, hardLink, owner, remove, rename, type Step } from './tree-steps.ts'

let stacks = 0

/** Commits one layer per list of steps; after each, a view of the stack equals the plain directory. */
async function checkStack(bench: Bench, ...layers: readonly (readonly Step[])[]): Promise<void> {
  const flat = bench.directory('flat-')
  const stack = `stack-${++stacks}`
  for (const [index, steps] of layers.entries()) {
    const name = `${stack}-${index}`
    await bench.layer(name, index === 0 ? '' : `${stack}-${index - 1}`, steps)
    applySteps(flat, steps)
    await bench.viewed(name, place => assertSame(place, flat, `layer ${index}`))
  }
}

function assertSame(place: string, flat: string, what: string): void {
  const [shown, wanted] = [describeTree(place), describeTree(flat)]
  // The plain directory was made by us, privately; a snapshot's root is 0755.
  delete shown['.']
  delete wanted['.']
  assert.deepEqual(shown, wanted, what)
}

/** So that two writes fall into the same second: file systems and tools with coarse times must not mix them up. */
async function earlyInSecond(): Promise<void> {
  const into = Date.now() % 1000
  if (into > 600) await sleep(1000 - into)
}

const layerOf128 = (index: number): Step[] => [
  file('overwriteme', `${index} was here!\n`, 0o777),
  file(`addhere/file-${index}`, 'same\n', 0o755),
  remove('onlyme'),
  directory('onlyme'),
  file(`onlyme/file-${index}`, 'only me!\n', 0o777),
]

export function contentChecks(): Record<string, (bench: Bench) => Promise<void>> {
  return {
    'a file of the same size changed in the same second': async bench => {
      for (let round = 0; round < 5; round++) {
        await earlyInSecond()
        await checkStack(
          bench,
          [directory('etc', 0o700), file('etc/hosts', 'mydomain 10.0.0.1'), file('etc/profile', 'PATH=/usr/bin')],
          [
            file('etc/hosts', 'mydomain 10.0.0.2'),
            file('etc/profile', 'PATH=/usr/bin', 0o666),
            directory('root', 0o700),
            file('root/.bashrc', 'PATH=/usr/sbin'),
          ],
        )
      }
    },

    'a directory removed and made again is opaque': bench =>
      checkStack(
        bench,
        [directory('lib', 0o700), file('lib/hidden', '')],
        [remove('lib'), directory('lib', 0o700), file('lib/not-hidden', '')],
        [file('lib/newfile', '')],
      ),

    'an inherited tree changes its owner': bench =>
      checkStack(
        bench,
        [
          directory('opt', 0o700),
          directory('opt/a', 0o700),
          directory('opt/a/b', 0o700),
          file('opt/a/b/file.txt', 'hello'),
        ],
        ['opt', 'opt/a', 'opt/a/b', 'opt/a/b/file.txt'].map(path => owner(path, 1, 1)),
      ),

    'owners of directories over three layers': bench =>
      checkStack(
        bench,
        [
          ...[1, 2, 3, 4, 5].map(number => directory(`dir${number}`, 0o700)),
          ...[4, 5].map(number => file(`dir${number}/f1`, '...')),
          ...['dir1', 'dir2', 'dir3', 'dir5', 'dir5/f1'].map(path => owner(path, 1, 1)),
        ],
        [owner('dir2', 0, 0), remove('dir3'), owner('dir4', 1, 1), owner('dir4/f1', 1, 1)],
        [directory('dir3', 0o700), owner('dir3', 1, 1), remove('dir5'), directory('dir5', 0o700), owner('dir5', 1, 1)],
      ),

    'removed files stay removed': bench =>
      checkStack(bench, [file('foo', 'foo\n', 0o777), file('foobar', 'foobar\n', 0o777)], [remove('foobar')], []),

    'a file moves out of a lower layer': bench =>
      checkStack(
        bench,
        [directory('dir1', 0o700), file('dir1/f1', 'Hello'), directory('dir2', 0o700), file('dir2/f2', '...')],
        [
          directory('dir3', 0o700),
          file('dir3/f1', 'Hello'),
          remove('dir1'),
          hardLink('dir2/f2', 'dir3/f2'),
          remove('dir2/f2'),
        ],
      ),

    'files are renamed': bench =>
      checkStack(
        bench,
        [directory('some', 0o700), file('some/f1', 'was here first!'), file('some/f2', 'nothing interesting')],
        [file('some/f1-new', 'new content 1'), rename('some/f1-new', 'some/f1'), rename('some/f2', 'some/f3')],
      ),

    'a view is read-only, for real': async bench => {
      await bench.layer('base', '')
      await bench.layer('top', 'base', [file('there', '')])
      for (const name of ['base', 'top'])
        await bench.viewed(name, place => assert.throws(() => writeFileSync(join(place, 'new'), ''), { code: 'EROFS' }))
      const mounts = await bench.snapshotter.view('empty', '')
      await bench.mounted(mounts, place =>
        assert.throws(() => writeFileSync(join(place, 'new'), ''), { code: 'EROFS' }),
      )
    },

    'a fresh root is 0755, a child’s has its parent’s owner': async bench => {
      const mounts = await bench.snapshotter.prepare('key', '')
      await bench.mounted(mounts, place => {
        assert.equal(statSync(place).mode & 0o7777, 0o755)
        applySteps(place, [owner('.', 1000, 1001)])
      })
      await bench.snapshotter.commit('base', 'key')
      await bench.mounted(await bench.snapshotter.prepare('child', 'base'), place => {
        const { uid, gid } = statSync(place)
        assert.deepEqual([uid, gid], [1000, 1001])
      })
    },

    '128 layers': async bench => {
      const flat = bench.directory('flat-')
      const bottom = [
        file('bottom', 'way at the bottom\n', 0o777),
        file('overwriteme', 'first!\n', 0o777),
        ...['addhere', 'onlyme'].map(path => directory(path)),
        file('onlyme/bottom', 'bye!\n', 0o777),
      ]
      for (let index = 0; index < 128; index++) {
        const steps = index === 0 ? bottom : layerOf128(index)
        const mounts = await bench.snapshotter.prepare(`key-${index}`, index === 0 ? '' : `layer-${index - 1}`)
        await bench.mounted(mounts, place => {
          assertSame(place, flat, `layer ${index} before its changes`)
          for (const root of [flat, place]) applySteps(root, steps)
          assertSame(place, flat, `layer ${index} after its changes`)
        })
        await bench.snapshotter.commit(`layer-${index}`, `key-${index}`)
      }
      await bench.viewed('layer-127', place => assertSame(place, flat, 'all of them'))
    },
  }
}
