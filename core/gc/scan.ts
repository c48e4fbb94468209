/** Reads the whole graph out of one state of the metadata store. */
import {
  type BlobRecord,
  type CommitIntent,
  type ContainerRecord,
  type ImageRecord,
  type IngestRecord,
  type LeaseRecord,
  namespaceNames,
  type ObjectKind,
  objectKey,
  type ReadTransaction,
  type SnapshotRecord,
  type StringMap,
} from '#core/metadata/metadata.ts'
import type { GcNode, NodeType } from './gc.ts'
import { backReferences, isExpired, isFlat, isRoot, references } from './labels.ts'
import { type Edge, type Graph, nodeId } from './mark.ts'

export interface ScanOptions {
  readonly nowMs: number
  /** Kept beside what the records say, such as ingests with a writer. */
  readonly extraRoots: readonly Edge[]
}

/** A graph, and the objects a collection may remove. */
export class Scan implements Graph {
  readonly roots: Edge[]
  readonly collectable: GcNode[] = []
  readonly #edges = new Map<string, Edge[]>()
  /** Edges followed on flat ways too: a snapshot cannot be without its parent. */
  readonly #firm = new Map<string, Edge[]>()

  constructor(tx: ReadTransaction, { nowMs, extraRoots }: ScanOptions) {
    this.roots = [...extraRoots]
    for (const ns of namespaceNames(tx)) new NamespaceScan(this, tx, ns, nowMs).run()
  }

  edges(node: GcNode, flat: boolean): readonly Edge[] {
    const id = nodeId(node)
    const firm = this.#firm.get(id) ?? []
    return flat ? firm.map(edge => ({ ...edge, flat })) : [...firm, ...(this.#edges.get(id) ?? [])]
  }

  connect(from: GcNode, edge: Edge, { firm = false } = {}): void {
    const edges = firm ? this.#firm : this.#edges
    const id = nodeId(from)
    const known = edges.get(id)
    if (known === undefined) edges.set(id, [edge])
    else known.push(edge)
  }
}

class NamespaceScan {
  readonly #scan: Scan
  readonly #tx: ReadTransaction
  readonly #ns: string
  readonly #nowMs: number

  constructor(scan: Scan, tx: ReadTransaction, ns: string, nowMs: number) {
    this.#scan = scan
    this.#tx = tx
    this.#ns = ns
    this.#nowMs = nowMs
  }

  run(): void {
    this.#images()
    this.#containers()
    this.#blobs()
    this.#ingests()
    this.#snapshots()
    this.#commits()
    this.#leases()
  }

  #images(): void {
    for (const [node, { labels, target }] of this.#each<ImageRecord>('images', 'image')) {
      if (!isExpired(labels, this.#nowMs)) this.#root(node, 'image')
      this.#connect(node, 'target', { node: this.#node('content', target.digest), firm: true })
      this.#labels(node, labels)
    }
  }

  #containers(): void {
    for (const [node, { labels, snapshotter, snapshotKey }] of this.#each<ContainerRecord>('containers', 'container')) {
      this.#root(node, 'container')
      if (snapshotter !== '')
        this.#connect(node, 'root filesystem', { node: this.#node('snapshot', `${snapshotter}/${snapshotKey}`) })
      this.#labels(node, labels)
    }
  }

  #blobs(): void {
    for (const [node, { labels }] of this.#each<BlobRecord>('blobs', 'content')) {
      if (isRoot(labels)) this.#root(node, 'label containerd.io/gc.root')
      this.#labels(node, labels)
    }
  }

  #ingests(): void {
    for (const [node, { expiresAtMs, shared }] of this.#each<IngestRecord>('ingests', 'ingest')) {
      if (expiresAtMs !== undefined && expiresAtMs > this.#nowMs) this.#root(node, 'unfinished write')
      if (shared !== undefined) this.#connect(node, 'shared content', { node: this.#node('content', shared) })
    }
  }

  #snapshots(): void {
    for (const [node, { labels, parent }] of this.#each<SnapshotRecord>('snapshots', 'snapshot')) {
      if (isRoot(labels)) this.#root(node, 'label containerd.io/gc.root')
      const [snapshotter] = node.key.split('/', 1)
      if (parent !== '')
        this.#connect(node, 'parent', { node: this.#node('snapshot', `${snapshotter}/${parent}`), firm: true })
      this.#labels(node, labels)
    }
  }

  /** A commit under way keeps what it is made of. */
  #commits(): void {
    for (const { key, value } of this.#tx.list<CommitIntent>(objectKey(this.#ns, 'commits'))) {
      const [snapshotter, active] = key.slice(3)
      this.#root(this.#node('snapshot', `${snapshotter}/${active}`), 'being committed')
      if (value.parent !== '')
        this.#root(this.#node('snapshot', `${snapshotter}/${value.parent}`), 'being committed on')
    }
  }

  #leases(): void {
    for (const [node, { labels }] of this.#each<LeaseRecord>('leases', 'lease')) {
      if (isExpired(labels, this.#nowMs)) continue
      this.#root(node, 'lease')
      const flat = isFlat(labels)
      for (const { key } of this.#tx.list(objectKey(this.#ns, 'lease-resources', node.key))) {
        const resource = this.#resource(String(key.at(-2)), String(key.at(-1)))
        if (resource !== undefined) this.#connect(node, 'leased', { node: resource, flat })
      }
    }
  }

  #resource(type: string, id: string): GcNode | undefined {
    const [kind, snapshotter] = type.split('/')
    if (kind === 'snapshots') return this.#node('snapshot', `${snapshotter}/${id}`)
    const types: Record<string, NodeType> = { content: 'content', ingests: 'ingest', images: 'image' }
    const known = types[kind ?? '']
    return known && this.#node(known, id)
  }

  #labels(node: GcNode, labels: StringMap): void {
    for (const { node: to, label } of references(this.#ns, labels)) this.#connect(node, `label ${label}`, { node: to })
    for (const { node: by, label } of backReferences(this.#ns, labels)) this.#connect(by, `label ${label}`, { node })
  }

  /** Records of a kind with their nodes; all but containers may be collected. */
  *#each<T>(kind: ObjectKind, type: NodeType): Generator<[GcNode, T]> {
    for (const { key, value } of this.#tx.list<T>(objectKey(this.#ns, kind))) {
      const node = this.#node(type, key.slice(3).join('/'))
      if (type !== 'container') this.#scan.collectable.push(node)
      yield [node, value]
    }
  }

  #node(type: NodeType, key: string): GcNode {
    return { type, ns: this.#ns, key }
  }

  #root(node: GcNode, why: string): void {
    this.#scan.roots.push({ node, why })
  }

  #connect(
    from: GcNode,
    why: string,
    { node, firm = false, flat = false }: { node: GcNode; firm?: boolean; flat?: boolean },
  ): void {
    this.#scan.connect(from, { node, why, flat }, { firm })
  }
}
