import type { Pace } from '#core/metadata/metadata.ts'
import { type Graph, isGarbage, type Vertex } from './graph.ts'

/**
 * Garbage, each before what it refers to: while a removal is under way, whoever finds an object still finds what that
 * leads to, and a snapshot goes before its parent. Where references form a circle, somewhere.
 */
export async function removalOrder(graph: Graph, pace: Pace): Promise<Vertex[]> {
  const garbage: Vertex[] = []
  let seen = 0
  for (const vertex of graph.vertices()) {
    if (isGarbage(vertex)) garbage.push(vertex)
    if (++seen % 512 === 0) await pace.step()
  }
  const referrers = await countReferrers(garbage, pace)
  const ordered: Vertex[] = garbage.filter(vertex => !referrers.has(vertex))
  for (let i = 0; i < ordered.length; i++) {
    for (const target of targets(ordered[i] as Vertex)) {
      const left = (referrers.get(target) ?? 0) - 1
      if (left === 0) ordered.push(target)
      if (left >= 0) referrers.set(target, left)
    }
    if (i % 256 === 0) await pace.step()
  }
  const inCircles = garbage.filter(vertex => (referrers.get(vertex) ?? 0) > 0)
  return [...ordered, ...inCircles]
}

async function countReferrers(garbage: readonly Vertex[], pace: Pace): Promise<Map<Vertex, number>> {
  const counts = new Map<Vertex, number>()
  for (const [i, vertex] of garbage.entries()) {
    for (const target of targets(vertex)) counts.set(target, (counts.get(target) ?? 0) + 1)
    if (i % 256 === 0) await pace.step()
  }
  return counts
}

function* targets(vertex: Vertex): Generator<Vertex> {
  for (const { to } of vertex.firm) if (isGarbage(to)) yield to
  for (const { to } of vertex.edges) if (isGarbage(to)) yield to
}
