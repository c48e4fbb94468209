import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { describe, test } from 'node:test'
import { mount, unmount } from '#api/sys/sys.ts'
import type { Mount } from '#api/types/mount.ts'
import { openSnapshotter } from '#sdk/define-snapshotter.ts'
import type { Snapshotter } from '#sdk/snapshotter.ts'
import { snapshotterSuite } from '#sdk/snapshotter-suite.ts'
import { volatileLabel } from './overlay-storage.ts'
import { overlayfs } from './overlayfs.ts'

snapshotterSuite('overlayfs, in-process', root => openSnapshotter(overlayfs, { root }))

const option = ([mount]: readonly Mount[], name: string) =>
  mount?.options.find(given => given === name || given.startsWith(`${name}=`))

async function withSnapshotter(config: unknown, body: (s: Snapshotter, home: string) => Promise<void>): Promise<void> {
  await using undo = new AsyncDisposableStack()
  const home = await mkdtemp(join(tmpdir(), 'gantry-overlay-'))
  undo.defer(() => rm(home, { recursive: true, force: true }))
  const s = await openSnapshotter(overlayfs, { root: home, config })
  undo.defer(() => s.close())
  await s.prepare('base-key', '')
  await s.commit('base', 'base-key')
  await body(s, home)
}

describe('options of overlayfs', { skip: process.getuid?.() === 0 ? false : 'needs root: it mounts' }, () => {
  test('renames by default, metacopy when asked to; what is configured wins', async () => {
    await withSnapshotter({}, async s => {
      const mounts = await s.prepare('key', 'base')
      assert.equal(option(mounts, 'redirect_dir'), 'redirect_dir=on')
      assert.equal(option(mounts, 'index'), 'index=off')
      assert.equal(option(mounts, 'metacopy'), undefined)
      assert.equal(option(mounts, 'volatile'), undefined)
    })
    await withSnapshotter({ metacopy: true, mount_options: ['redirect_dir=nofollow'] }, async s => {
      const mounts = await s.prepare('key', 'base')
      assert.equal(option(mounts, 'redirect_dir'), 'redirect_dir=nofollow')
    })
    await withSnapshotter({ mount_options: ['userxattr'] }, async s => {
      const mounts = await s.prepare('key', 'base')
      assert.deepEqual([option(mounts, 'userxattr'), option(mounts, 'redirect_dir')], ['userxattr', undefined])
    })
    await assert.rejects(
      withSnapshotter({ mount_options: ['no-such-option'] }, async () => {}),
      { code: 'FAILED_PRECONDITION' },
    )
  })

  test('volatile on demand: mounted again while the host is up, refused after it went down', async () => {
    await withSnapshotter({}, async (s, home) => {
      const labels = { [volatileLabel]: 'true' }
      const place = await mkdtemp(join(home, 'place-'))
      const upper = option(await s.prepare('key', 'base', { labels }), 'upperdir')?.slice('upperdir='.length) ?? ''
      for (const round of [1, 2]) {
        const mounts = await s.mounts('key')
        assert.equal(option(mounts, 'volatile'), 'volatile')
        await mount(mounts, place)
        writeFileSync(join(place, `file-${round}`), '')
        await unmount(place)
      }
      const note = join(dirname(upper), 'volatile-since')
      const boot = await readFile(note, 'utf8')
      writeFileSync(note, 'another boot')
      await assert.rejects(s.mounts('key'), { code: 'FAILED_PRECONDITION', message: /when the host went down/ })
      writeFileSync(note, boot)
      await s.commit('layer', 'key')
      assert.equal(option(await s.prepare('next', 'layer'), 'volatile'), undefined)
    })
  })
})
