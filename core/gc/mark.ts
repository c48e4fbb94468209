/** The marking: everything reachable from the roots, and by which way it was reached first. */
import type { GcNode, Reason } from './gc.ts'

/** An edge, or a root when nothing leads there. `flat`: the target is kept without what labels of it refer to. */
export interface Edge {
  readonly node: GcNode
  readonly why: string
  readonly flat?: boolean
}

export interface Graph {
  readonly roots: readonly Edge[]
  /** Out of a node that is kept; `flat` as it was reached. */
  edges(node: GcNode, flat: boolean): readonly Edge[]
}

interface Reached {
  readonly edge: Edge
  readonly from?: string
}

export class Marked {
  readonly #reached = new Map<string, Reached>()

  constructor(graph: Graph) {
    const queue: Reached[] = graph.roots.map(edge => ({ edge }))
    const seen = new Set<string>()
    // Breadth first, so that an explanation is a shortest one.
    for (let i = 0; i < queue.length; i++) {
      const reached = queue[i] as Reached
      const { node, flat = false } = reached.edge
      const id = nodeId(node)
      const visit = `${id}\0${flat}`
      if (seen.has(visit)) continue
      seen.add(visit)
      if (!this.#reached.has(id)) this.#reached.set(id, reached)
      for (const edge of graph.edges(node, flat)) queue.push({ edge, from: id })
    }
  }

  has(node: GcNode): boolean {
    return this.#reached.has(nodeId(node))
  }

  /** From a root to the node; empty when nothing keeps it. */
  explain(node: GcNode): Reason[] {
    const chain: Reason[] = []
    for (let at = this.#reached.get(nodeId(node)); at !== undefined; ) {
      chain.unshift({ ...at.edge.node, why: at.edge.why })
      at = at.from === undefined ? undefined : this.#reached.get(at.from)
    }
    return chain
  }
}

export function nodeId({ type, ns, key }: GcNode): string {
  return `${type}\0${ns}\0${key}`
}
