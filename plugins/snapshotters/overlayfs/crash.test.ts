import { describe } from 'node:test'
import { openSnapshotter } from '#sdk/define-snapshotter.ts'
import { crashSuite } from '#sdk/suite/crash-suite.ts'
import { overlayfs } from './overlayfs.ts'

describe('overlayfs', { skip: process.getuid?.() === 0 ? false : 'needs root: it mounts' }, () => {
  const module = import.meta.resolve('./overlayfs.ts')
  crashSuite({ module, plugin: 'overlayfs', open: root => openSnapshotter(overlayfs, { root }) })
})
