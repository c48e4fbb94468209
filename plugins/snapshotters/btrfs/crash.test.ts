import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe } from 'node:test'
import { removeSubvolume } from '#api/sys/btrfs.ts'
import { openSnapshotter } from '#sdk/define-snapshotter.ts'
import { crashSuite } from '#sdk/suite/crash-suite.ts'
import { LoopBtrfs, lackingBtrfs } from '../../../test/filesystems/loop-btrfs.ts'
import { btrfs } from './btrfs.ts'

describe('btrfs', { skip: await lackingBtrfs() }, () => {
  let fs: LoopBtrfs
  before(async () => {
    fs = await LoopBtrfs.make()
  })
  after(() => fs[Symbol.asyncDispose]())
  crashSuite({
    module: import.meta.resolve('./btrfs.ts'),
    plugin: 'btrfs',
    open: root => openSnapshotter(btrfs, { root }),
    place: () => ({ home: fs.path, erase }),
    ownsStorage: ({ kind, parent }) => kind !== 'view' || parent === '',
  })
})

async function erase(root: string): Promise<void> {
  const all = join(root, 'snapshots')
  for (const name of await readdir(all)) await removeSubvolume(join(all, name))
}
