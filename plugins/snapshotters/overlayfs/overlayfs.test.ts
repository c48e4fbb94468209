import { openSnapshotter } from '#sdk/define-snapshotter.ts'
import { snapshotterSuite } from '#sdk/snapshotter-suite.ts'
import { overlayfs } from './overlayfs.ts'

snapshotterSuite('overlayfs, in-process', root => openSnapshotter(overlayfs, { root }))
