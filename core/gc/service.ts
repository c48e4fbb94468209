/** gantry.services.gc.v1: what would go, and why something stays. */
import { notFound } from '#api/errors/errors.ts'
import { type GcServiceDefinition, ObjectType } from '#api/gen/gantry/services/gc/v1/gc.ts'
import type { ServiceImpl } from '#api/rpc/definition.ts'
import type { GarbageCollector } from './collector.ts'
import type { GcNode, GcStats, NodeType, PlannedRemoval } from './gc.ts'

const types: Readonly<Record<NodeType, ObjectType>> = {
  content: ObjectType.OBJECT_TYPE_CONTENT,
  snapshot: ObjectType.OBJECT_TYPE_SNAPSHOT,
  image: ObjectType.OBJECT_TYPE_IMAGE,
  container: ObjectType.OBJECT_TYPE_CONTAINER,
  lease: ObjectType.OBJECT_TYPE_LEASE,
  ingest: ObjectType.OBJECT_TYPE_INGEST,
  mount: ObjectType.OBJECT_TYPE_MOUNT,
  sandbox: ObjectType.OBJECT_TYPE_SANDBOX,
}

/** Removals in one message. */
const block = 500

export function gcService(
  collector: Pick<GarbageCollector, 'plan' | 'explain'>,
  collect: () => Promise<GcStats>,
): ServiceImpl<typeof GcServiceDefinition> {
  return {
    async *plan() {
      const { removals, totalBytes } = await collector.plan()
      for (let at = 0; at < removals.length; at += block)
        yield { removals: removals.slice(at, at + block).map(wireRemoval) }
      yield { totalBytes: BigInt(totalBytes) }
    },
    async explain({ ref, type }, { namespace }) {
      const fits = (node: GcNode) =>
        node.ns === namespace && isNamed(node, ref) && (type === 0 || types[node.type] === type)
      const found = await collector.explain(fits)
      if (found.length === 0) throw notFound(`object "${ref}" in namespace "${namespace}"`)
      return {
        explanations: found.map(({ node, chain }) => ({
          object: wireObject(node),
          chain: chain.map(reason => ({ object: wireObject(reason), why: reason.why })),
        })),
      }
    },
    async collect() {
      const { removed, pauseMs, totalMs } = await collect()
      return { removed: removed.length, longestStopUs: Math.round(pauseMs * 1000), totalMs: Math.round(totalMs) }
    },
  }
}

function isNamed({ type, key }: GcNode, ref: string): boolean {
  return key === ref || (type === 'snapshot' && key.slice(key.indexOf('/') + 1) === ref)
}

function wireObject({ type, ns, key }: GcNode) {
  return { type: types[type], namespace: ns, key }
}

function wireRemoval({ node, sizeBytes, leftover }: PlannedRemoval) {
  return {
    object: wireObject(node),
    sizeBytes: BigInt(sizeBytes ?? 0),
    sizeUnknown: sizeBytes === undefined,
    leftover,
  }
}
