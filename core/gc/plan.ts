/** What a collection would free: the garbage, and the bytes of each on disk. */
import { isGantryError } from '#api/errors/errors.ts'
import { type Digest, parseDigest } from '#api/types/digest.ts'
import type { Pace } from '#core/metadata/metadata.ts'
import type { GcNode, GcPlan, PlannedRemoval } from './gc.ts'
import { type Graph, isGarbage, type Vertex } from './graph.ts'
import { removalOrder } from './removal-order.ts'
import { splitSnapshot } from './remove-record.ts'

/** Something on disk no record knows: its own name, and its bytes. */
export interface Leftover {
  readonly name: string
  readonly sizeBytes: number
}

export interface SizedContent {
  /** NOT_FOUND when nothing is on disk. */
  status(ns: string, ref: string): Promise<{ offset: number }>
  /** Blobs and ingests the next sweep removes although no record goes. */
  leftovers(): Promise<{ blobs: Leftover[]; ingests: Leftover[] }>
  sizeOf(digest: Digest): number | undefined
}

export interface SizedSnapshots {
  on(snapshotter: string): { usage(ns: string, key: string): Promise<{ sizeBytes: bigint }> }
  /** Backends' snapshots the next sweep removes although no record goes. */
  leftovers(): Promise<(Leftover & { snapshotter: string })[]>
}

interface Sources {
  readonly content: SizedContent
  readonly snapshots: SizedSnapshots
}

export async function makePlan(graph: Graph, sources: Sources, pace: Pace): Promise<GcPlan> {
  const garbage = await removalOrder(graph, pace)
  const kept = await keptDigests(graph, pace)
  const removals: PlannedRemoval[] = []
  for (const vertex of garbage) {
    const sizeBytes = await freedBytes(vertex, sources, kept)
    removals.push({ node: vertex.node, leftover: false, ...(sizeBytes !== undefined && { sizeBytes }) })
    await pace.step()
  }
  removals.push(...(await leftovers(sources)))
  return { removals, totalBytes: removals.reduce((sum, { sizeBytes = 0 }) => sum + sizeBytes, 0) }
}

/** Blobs whose file stays: some namespace keeps its record, or a kept ingest stands for it. */
async function keptDigests(graph: Graph, pace: Pace): Promise<Set<string>> {
  const kept = new Set<string>()
  let seen = 0
  for (const vertex of graph.vertices()) {
    if (++seen % 512 === 0) await pace.step()
    if (!vertex.collectable || isGarbage(vertex)) continue
    if (vertex.node.type === 'content') kept.add(vertex.node.key)
    else if (vertex.shares !== undefined) kept.add(vertex.shares)
  }
  return kept
}

/** Undefined when its provider cannot tell. A blob of several namespaces is counted once: `counted` grows. */
async function freedBytes({ node }: Vertex, sources: Sources, counted: Set<string>): Promise<number | undefined> {
  if (node.type === 'content') {
    if (counted.has(node.key)) return 0
    counted.add(node.key)
    return sources.content.sizeOf(parseDigest(node.key)) ?? 0
  }
  if (node.type === 'snapshot') return await snapshotBytes(node, sources.snapshots)
  return node.type === 'ingest' ? await ingestBytes(node, sources.content) : 0
}

async function ingestBytes({ ns, key }: GcNode, content: SizedContent): Promise<number> {
  try {
    return (await content.status(ns, key)).offset
  } catch (error) {
    if (isGantryError(error, 'NOT_FOUND')) return 0
    throw error
  }
}

/** A snapshotter that is not configured, not up or has lost it cannot say; the rest of the plan stands. */
async function snapshotBytes({ ns, key }: GcNode, snapshots: SizedSnapshots): Promise<number | undefined> {
  const [snapshotter, name] = splitSnapshot(key)
  try {
    return Number((await snapshots.on(snapshotter).usage(ns, name)).sizeBytes)
  } catch (error) {
    if (isGantryError(error)) return undefined
    throw error
  }
}

async function leftovers({ content, snapshots }: Sources): Promise<PlannedRemoval[]> {
  const { blobs, ingests } = await content.leftovers()
  const inBackends = await snapshots.leftovers()
  const planned = (type: GcNode['type'], key: string, sizeBytes: number): PlannedRemoval => ({
    node: { type, ns: '', key },
    sizeBytes,
    leftover: true,
  })
  return [
    ...blobs.map(({ name, sizeBytes }) => planned('content', name, sizeBytes)),
    ...ingests.map(({ name, sizeBytes }) => planned('ingest', name, sizeBytes)),
    ...inBackends.map(({ snapshotter, name, sizeBytes }) => planned('snapshot', `${snapshotter}/${name}`, sizeBytes)),
  ]
}
