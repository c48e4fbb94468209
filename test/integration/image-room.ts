/**
 * The core's image side, real and private: metadata, content, leases, snapshots over the overlayfs snapshotter's own
 * process, diffs, remotes and transfers, in one temporary folder. No daemon.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { createLogger } from '#api/log/log.ts'
import { connect } from '#api/rpc/client.ts'
import { openStore } from '#api/store/store.ts'
import { LocalContentStore } from '#core/content/content.ts'
import { LocalDiffs } from '#core/diff/diff.ts'
import { Exchange } from '#core/events/events.ts'
import { ImageStore } from '#core/images/images.ts'
import { LeaseStore } from '#core/leases/leases.ts'
import { Metadata } from '#core/metadata/metadata.ts'
import { createRemotes, type RemotesConfig } from '#core/remotes/remotes.ts'
import { proxyBackend, SnapshotterFronts } from '#core/snapshots/snapshots.ts'
import {
  LocalTransfers,
  type Progress,
  type StoredImage,
  type TransferConfig,
  type TransferContext,
} from '#core/transfer/transfer.ts'

export interface ImageRoom extends AsyncDisposable {
  readonly root: string
  readonly content: LocalContentStore
  readonly images: ImageStore
  readonly leases: LeaseStore
  readonly snapshots: SnapshotterFronts
  readonly diffs: LocalDiffs
  readonly transfers: LocalTransfers
  /** What transfers reported since the start. */
  readonly progress: Progress[]
  context(signal?: AbortSignal): TransferContext
}

export const ns = 'test'

export interface RoomOptions {
  /** Where content goes instead, such as a small file system. */
  contentRoot?: string
  snapshotterRoot?: string
  remotes?: RemotesConfig
  transfer?: Partial<TransferConfig>
}

export async function openImageRoom(options: RoomOptions = {}): Promise<ImageRoom> {
  const root = await mkdtemp(join(tmpdir(), 'gantry-images-'))
  await using undo = new AsyncDisposableStack()
  undo.defer(() => rm(root, { recursive: true, force: true }))
  const address = join(root, 's.sock')
  const snapshotterRoot = options.snapshotterRoot ?? join(root, 'snapshotter')
  for (const folder of [snapshotterRoot, join(root, 'temp')]) await mkdir(folder, { recursive: true })
  const child = await startSnapshotter(address, snapshotterRoot)
  undo.defer(() => stop(child))
  const channel = connect(address, { peer: 'snapshotter overlayfs' })
  undo.defer(() => channel.close())
  const store = openStore(join(root, 'metadata'))
  undo.defer(() => store.close())
  const metadata = new Metadata(store)
  const logger = createLogger({ name: 'test', level: 'silent' })
  const events = new Exchange()
  const backends = { overlayfs: async () => proxyBackend('overlayfs', channel) }
  const content = await LocalContentStore.open(options.contentRoot ?? join(root, 'content'), metadata, events)
  const images = new ImageStore(metadata, events, async () => {})
  const leases = new LeaseStore(metadata, async () => {})
  const snapshots = new SnapshotterFronts({ metadata, logger, events, backends })
  const diffs = new LocalDiffs(content, join(root, 'temp'))
  const remotes = createRemotes({ attempts: 3, baseDelayMs: 1, maxDelayMs: 20, ...options.remotes })
  undo.defer(() => remotes[Symbol.asyncDispose]())
  const parts = { content, images, leases, snapshots, diffs, remotes, logger }
  const transfers = new LocalTransfers(parts, { defaultSnapshotter: 'overlayfs', ...options.transfer })
  const progress: Progress[] = []
  const context = (signal = new AbortController().signal) => ({
    namespace: ns,
    signal,
    onProgress: (report: Progress) => void progress.push(report),
  })
  const owned = undo.move()
  return {
    ...{ root, content, images, leases, snapshots, diffs, transfers, progress, context },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  }
}

/** A destination that unpacks for this host unless told otherwise. */
export function storedImage(name: string, options: Partial<StoredImage> = {}): StoredImage {
  return {
    name,
    labels: {},
    platforms: [],
    allMetadata: false,
    manifestLimit: 0,
    extraReferences: [],
    unpacks: [{ snapshotter: '' }],
    ...options,
  }
}

/** All of a listing. */
export async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = []
  for await (const item of items) all.push(item)
  return all
}

async function startSnapshotter(address: string, root: string): Promise<ChildProcess> {
  const main = join(import.meta.dirname, '../../plugins/snapshotters/overlayfs/main.ts')
  const args = [main, '--address', address, '--root', root, '--log-level', 'error']
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'inherit', 'inherit'] })
  for (const deadline = Date.now() + 10_000; !existsSync(address); await sleep(10)) {
    if (child.exitCode !== null || Date.now() > deadline) throw new Error('the snapshotter does not serve')
  }
  return child
}

async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  child.kill('SIGTERM')
  await once(child, 'exit')
}
