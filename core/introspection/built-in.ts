/** The daemon's own parts, by containerd's kinds and names: what its clients look for, with what each builds on. */
import type { PluginDescription } from './introspection.ts'

const service = 'io.containerd.service.v1'
const grpc = 'io.containerd.grpc.v1'
const content = 'io.containerd.content.v1'
const metadata = 'io.containerd.metadata.v1'
const event = 'io.containerd.event.v1'
const gc = 'io.containerd.gc.v1'
const lease = 'io.containerd.lease.v1'
const snapshotter = 'io.containerd.snapshotter.v1'
const sandboxStore = 'io.containerd.sandbox.store.v1'
const sandboxController = 'io.containerd.sandbox.controller.v1'
const runtime = 'io.containerd.runtime.v2'
const mountManager = 'io.containerd.mount-manager.v1'
const transfer = 'io.containerd.transfer.v1'
const streaming = 'io.containerd.streaming.v1'
const differ = 'io.containerd.differ.v1'

/** Faces of the API and what is behind them. */
const faces: Readonly<Record<string, readonly string[]>> = {
  containers: [metadata, event],
  content: [content, metadata],
  diff: [differ],
  events: [event],
  healthcheck: [],
  images: [metadata, event, gc],
  introspection: [],
  leases: [lease],
  mounts: [mountManager],
  namespaces: [metadata, event],
  'sandbox-controllers': [sandboxController, event],
  sandboxes: [sandboxStore],
  snapshots: [snapshotter],
  streaming: [streaming],
  tasks: [runtime, metadata],
  transfer: [transfer, streaming],
  version: [],
}

/** Names with a `<name>-service` beside them in containerd. */
const services = ['containers', 'content', 'diff', 'images', 'introspection', 'namespaces', 'snapshots', 'tasks']

export interface BuiltInFacts {
  /** Folder of the content store. */
  readonly contentRoot: string
  readonly sharingPolicy: string
  readonly platforms: NonNullable<PluginDescription['platforms']>
}

export function builtInPlugins({ contentRoot, sharingPolicy, platforms }: BuiltInFacts): PluginDescription[] {
  return [
    { type: content, id: 'content', exports: { root: contentRoot } },
    { type: metadata, id: 'bolt', requires: [content, snapshotter], exports: { policy: sharingPolicy } },
    { type: event, id: 'exchange' },
    { type: gc, id: 'scheduler', requires: [metadata] },
    { type: lease, id: 'manager', requires: [metadata, gc] },
    { type: differ, id: 'walking', requires: [metadata], platforms },
    { type: runtime, id: 'task', requires: [event, metadata], platforms },
    { type: mountManager, id: 'bolt', requires: [metadata] },
    { type: sandboxStore, id: 'local', requires: [metadata] },
    { type: sandboxController, id: 'shim', requires: [event, runtime] },
    { type: streaming, id: 'manager', requires: [metadata] },
    { type: transfer, id: 'local', requires: [lease, metadata, differ], platforms },
    ...services.map(id => ({ type: service, id: `${id}-service`, requires: faces[id] ?? [] })),
    ...Object.entries(faces).map(([id, requires]) => ({
      type: grpc,
      id,
      requires: services.includes(id) ? [service] : requires,
    })),
  ]
}
