import { openSnapshotter } from '#sdk/define-snapshotter.ts'
import { snapshotterSuite } from '#sdk/snapshotter-suite.ts'
import { vfs } from './vfs.ts'

snapshotterSuite('vfs, in-process', root => openSnapshotter(vfs, { root }), { rebases: false, sharesParents: false })
