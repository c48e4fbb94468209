/** What one record of the metadata store says of the graph. */
import type {
  BlobRecord,
  CommitIntent,
  ContainerRecord,
  ImageRecord,
  IngestRecord,
  Key,
  LeaseRecord,
  MountRecord,
  ObjectKind,
  SandboxRecord,
  SnapshotRecord,
  StringMap,
} from '#core/metadata/metadata.ts'
import { conditionsOf, usedAtMs } from './conditions.ts'
import type { NodeType } from './gc.ts'
import type { Graph, Vertex } from './graph.ts'
import { backReferences, isExpired, isFlat, isRoot, references } from './labels.ts'

/** Reads records into a graph, as of one point in time. */
export class RecordReader {
  readonly #graph: Graph
  readonly #nowMs: number
  readonly #readers: Partial<Record<ObjectKind, (ns: string, key: string[], value: never) => Vertex | undefined>> = {
    images: (ns, key, value) => this.#image(ns, key, value),
    containers: (ns, key, value) => this.#container(ns, key, value),
    blobs: (ns, key, value) => this.#blob(ns, key, value),
    ingests: (ns, key, value) => this.#ingest(ns, key, value),
    snapshots: (ns, key, value) => this.#snapshot(ns, key, value),
    commits: (ns, key, value) => this.#commit(ns, key, value),
    leases: (ns, key, value) => this.#lease(ns, key, value),
    'lease-resources': (ns, key) => this.#leaseResource(ns, key),
    sandboxes: (ns, key, value) => this.#sandbox(ns, key, value),
    mounts: (ns, key, value) => this.#mount(ns, key, value),
  }

  constructor(graph: Graph, nowMs: number) {
    this.#graph = graph
    this.#nowMs = nowMs
  }

  /** The object the record is of; undefined for keys that are of none. */
  read([first, ns, kind, ...rest]: Key, value: unknown): Vertex | undefined {
    if (first !== 'in') return undefined
    return this.#readers[kind as ObjectKind]?.(String(ns), rest.map(String), value as never)
  }

  #image(ns: string, [name = '']: string[], { labels, target }: ImageRecord): Vertex {
    const image = this.#object('image', ns, name)
    if (!isExpired(labels, this.#nowMs)) this.#graph.root(image, 'image')
    this.#graph.connect(image, this.#graph.vertex('content', ns, target.digest), 'target', { firm: true })
    this.#labels(image, labels)
    this.#conditions(image, labels)
    return image
  }

  #container(ns: string, [id = '']: string[], { labels, snapshotter, snapshotKey }: ContainerRecord): Vertex {
    const container = this.#graph.vertex('container', ns, id)
    this.#graph.root(container, 'container')
    if (snapshotter !== '')
      this.#graph.connect(container, this.#snapshotVertex(ns, snapshotter, snapshotKey), 'root filesystem')
    this.#labels(container, labels)
    return container
  }

  #blob(ns: string, [digest = '']: string[], { labels, sizeBytes }: BlobRecord): Vertex {
    const blob = this.#object('content', ns, digest)
    blob.sizeBytes = sizeBytes
    if (isRoot(labels)) this.#graph.root(blob, 'label containerd.io/gc.root')
    this.#labels(blob, labels)
    this.#conditions(blob, labels)
    return blob
  }

  #ingest(ns: string, [ref = '']: string[], { expiresAtMs, shared }: IngestRecord): Vertex {
    const ingest = this.#object('ingest', ns, ref)
    if (expiresAtMs !== undefined && expiresAtMs > this.#nowMs) this.#graph.root(ingest, 'unfinished write')
    if (shared !== undefined) {
      ingest.shares = shared
      this.#graph.connect(ingest, this.#graph.vertex('content', ns, shared), 'shared content')
    }
    return ingest
  }

  #snapshot(ns: string, [snapshotter = '', key = '']: string[], { labels, parent }: SnapshotRecord): Vertex {
    const snapshot = this.#object('snapshot', ns, `${snapshotter}/${key}`)
    if (isRoot(labels)) this.#graph.root(snapshot, 'label containerd.io/gc.root')
    if (parent !== '')
      this.#graph.connect(snapshot, this.#snapshotVertex(ns, snapshotter, parent), 'parent', { firm: true })
    this.#labels(snapshot, labels)
    const usedAt = usedAtMs(labels)
    if (usedAt !== undefined) this.#graph.setUsedAt(snapshot, usedAt)
    return snapshot
  }

  /** A commit under way keeps what it is made of. */
  #commit(ns: string, [snapshotter = '', active = '']: string[], { parent }: CommitIntent): undefined {
    this.#graph.root(this.#snapshotVertex(ns, snapshotter, active), 'being committed')
    if (parent !== '') this.#graph.root(this.#snapshotVertex(ns, snapshotter, parent), 'being committed on')
  }

  #lease(ns: string, [id = '']: string[], { labels }: LeaseRecord): Vertex {
    const lease = this.#object('lease', ns, id)
    lease.holdsFlat = isFlat(labels)
    if (!isExpired(labels, this.#nowMs)) this.#graph.root(lease, 'lease')
    return lease
  }

  #leaseResource(ns: string, [lease = '', type = '', id = '']: string[]): undefined {
    const resource = this.#resource(ns, type, id)
    if (resource !== undefined) this.#graph.connect(this.#graph.vertex('lease', ns, lease), resource, 'leased')
  }

  /** A sandbox is never collected; what its labels name is kept. */
  #sandbox(ns: string, [id = '']: string[], { labels }: SandboxRecord): Vertex {
    const sandbox = this.#graph.vertex('sandbox', ns, id)
    this.#graph.root(sandbox, 'sandbox')
    this.#labels(sandbox, labels)
    return sandbox
  }

  #mount(ns: string, [name = '']: string[], { labels, lease }: MountRecord): Vertex {
    const mount = this.#object('mount', ns, name)
    if (lease !== undefined) this.#graph.connect(this.#graph.vertex('lease', ns, lease), mount, 'leased')
    this.#labels(mount, labels)
    return mount
  }

  #resource(ns: string, type: string, id: string): Vertex | undefined {
    const [kind = '', snapshotter = ''] = type.split('/')
    if (kind === 'snapshots') return this.#snapshotVertex(ns, snapshotter, id)
    const types: Readonly<Record<string, NodeType>> = { content: 'content', ingests: 'ingest', images: 'image' }
    const known = types[kind]
    return known && this.#graph.vertex(known, ns, id)
  }

  #labels(from: Vertex, labels: StringMap): void {
    const { ns } = from.node
    for (const { node, label } of references(ns, labels))
      this.#graph.connect(from, this.#graph.vertex(node.type, ns, node.key), `label ${label}`)
    for (const { node, label } of backReferences(ns, labels))
      this.#graph.connect(this.#graph.vertex(node.type, ns, node.key), from, `label ${label}`)
  }

  #conditions(from: Vertex, labels: StringMap): void {
    for (const condition of conditionsOf(labels, this.#nowMs))
      this.#graph.connectConditionally(
        from,
        this.#graph.vertex('snapshot', from.node.ns, condition.snapshot),
        condition,
      )
  }

  #snapshotVertex(ns: string, snapshotter: string, key: string): Vertex {
    return this.#graph.vertex('snapshot', ns, `${snapshotter}/${key}`)
  }

  #object(type: NodeType, ns: string, key: string): Vertex {
    const vertex = this.#graph.vertex(type, ns, key)
    vertex.collectable = true
    return vertex
  }
}
