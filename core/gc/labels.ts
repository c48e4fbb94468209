/** containerd's labels for garbage collection. */
import type { StringMap } from '#core/metadata/metadata.ts'
import type { GcNode, NodeType } from './gc.ts'

const prefix = 'containerd.io/gc.'
const rootLabel = `${prefix}root`
const expireLabel = `${prefix}expire`
const flatLabel = `${prefix}flat`

/** A node named by a label, and the label. */
export interface LabelledNode {
  readonly node: GcNode
  readonly label: string
}

/** What an object's labels keep. */
export function references(ns: string, labels: StringMap): LabelledNode[] {
  return nodesOf(ns, labels, `${prefix}ref.`, ['content', 'image', 'mount'])
}

/** What keeps an object by its own labels. */
export function backReferences(ns: string, labels: StringMap): LabelledNode[] {
  return nodesOf(ns, labels, `${prefix}bref.`, ['content', 'image', 'container'])
}

export function isRoot(labels: StringMap): boolean {
  return Object.keys(labels).some(key => key.startsWith(rootLabel))
}

/** A lease that keeps its resources alone, not what they refer to. */
export function isFlat(labels: StringMap): boolean {
  return labels[flatLabel] !== undefined
}

/** Without the label, or with one that is no time: never. */
export function isExpired(labels: StringMap, nowMs: number): boolean {
  const expiry = labels[expireLabel]
  return expiry !== undefined && Date.parse(expiry) < nowMs
}

function nodesOf(ns: string, labels: StringMap, start: string, types: NodeType[]): LabelledNode[] {
  return Object.entries(labels).flatMap(([label, value]) => {
    if (!label.startsWith(start)) return []
    const node = nodeOf(ns, label.slice(start.length), value, types)
    return node === undefined ? [] : [{ node, label }]
  })
}

/** `rest`: `snapshot.<snapshotter>[/anything]`, or a type and nothing, `.anything` or `/anything`. */
function nodeOf(ns: string, rest: string, value: string, types: NodeType[]): GcNode | undefined {
  if (rest.startsWith('snapshot.')) {
    const [snapshotter] = rest.slice('snapshot.'.length).split('/')
    return { type: 'snapshot', ns, key: `${snapshotter}/${value}` }
  }
  const type = types.find(known => rest === known || rest.startsWith(`${known}.`) || rest.startsWith(`${known}/`))
  return type && { type, ns, key: value }
}
