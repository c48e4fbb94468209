import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { openSnapshotter } from '#sdk/define-snapshotter.ts'
import { type CrashSubject, crashOnce, crashSuite } from '#sdk/suite/crash-suite.ts'
import { vfs } from './vfs.ts'

const subject: CrashSubject = {
  module: import.meta.resolve('./vfs.ts'),
  plugin: 'vfs',
  open: root => openSnapshotter(vfs, { root }),
  // A view of something shows that one's tree.
  ownsStorage: ({ kind, parent }) => kind !== 'view' || parent === '',
}

describe('vfs', { skip: process.getuid?.() === 0 ? false : 'needs root: it mounts' }, () => {
  crashSuite(subject)

  test('killed in the middle of a copy, and of a deletion', async () => {
    const died: string[] = []
    const large = { ...subject, files: 250 }
    for (const delayMs of [1, 3]) {
      died.push((await crashOnce(large, { verb: 'prepare', at: 'copying', delayMs })) ?? 'lived')
      died.push((await crashOnce(large, { verb: 'remove', at: 'deleting', delayMs })) ?? 'lived')
    }
    assert.ok(died.includes('copying') && died.includes('deleting'), died.join(' '))
  })
})
