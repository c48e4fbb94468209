/** Spans of several processes as one tree, in time. */
import type { KeyValue } from '#api/gen/opentelemetry/proto/common/v1/common.ts'
import { type ResourceSpans, Span_SpanKind } from '#api/gen/opentelemetry/proto/trace/v1/trace.ts'
import { later } from './stretch.ts'

export interface SpanNode {
  readonly id: string
  readonly parentId: string
  readonly name: string
  /** `gantryd`, `snapshotter/overlayfs`, `shim`... */
  readonly process: string
  readonly pid: number
  readonly kind: 'step' | 'call' | 'answer'
  /** Nanoseconds since 1970. */
  readonly startNs: bigint
  readonly endNs: bigint
  readonly error: string
  /** By their beginning. */
  readonly children: SpanNode[]
}

/** The roots, by their beginning: spans whose parent is not there count as such. A span that came twice counts once. */
export function spanTree(all: readonly ResourceSpans[]): SpanNode[] {
  const nodes = new Map(all.flatMap(nodesOf).map(node => [node.id, node]))
  const roots: SpanNode[] = []
  for (const node of nodes.values()) (nodes.get(node.parentId)?.children ?? roots).push(node)
  for (const { children } of nodes.values()) children.sort(byStart)
  return roots.sort(byStart)
}

/**
 * One root: of several with the same absent parent, as a client of Docker leaves them, the client is drawn in its place,
 * from the beginning of the first to the end of the last.
 */
export function underOneRoot(roots: readonly SpanNode[]): readonly SpanNode[] {
  const [first] = roots
  if (first === undefined || roots.length === 1 || roots.some(({ parentId }) => parentId !== first.parentId))
    return roots
  const endNs = roots.reduce((latest, root) => later(latest, root.endNs), first.endNs)
  const { parentId: id, startNs } = first
  return [
    {
      id,
      parentId: '',
      name: 'its requests',
      process: 'client',
      pid: 0,
      kind: 'step',
      startNs,
      endNs,
      error: '',
      children: [...roots],
    },
  ]
}

/** A node and everything below it, parents first. */
export function* descend(node: SpanNode, depth = 0): Generator<{ node: SpanNode; depth: number }> {
  yield { node, depth }
  for (const child of node.children) yield* descend(child, depth + 1)
}

function nodesOf({ resource, scopeSpans }: ResourceSpans): SpanNode[] {
  const attributes = resource?.attributes ?? []
  const process = attributeOf(attributes, 'service.name')?.stringValue ?? 'unknown'
  const pid = Number(attributeOf(attributes, 'process.pid')?.intValue ?? 0n)
  return scopeSpans
    .flatMap(scope => scope.spans)
    .map(span => ({
      id: hex(span.spanId),
      parentId: hex(span.parentSpanId),
      name: span.name,
      process,
      pid,
      kind: kindOf(span.kind),
      startNs: span.startTimeUnixNano,
      endNs: span.endTimeUnixNano,
      error: span.status?.message ?? '',
      children: [],
    }))
}

function kindOf(kind: Span_SpanKind): SpanNode['kind'] {
  if (kind === Span_SpanKind.SPAN_KIND_CLIENT) return 'call'
  return kind === Span_SpanKind.SPAN_KIND_SERVER ? 'answer' : 'step'
}

function attributeOf(attributes: readonly KeyValue[], name: string) {
  return attributes.find(({ key }) => key === name)?.value
}

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex')
const byStart = (a: SpanNode, b: SpanNode) => Number(a.startNs - b.startNs)
