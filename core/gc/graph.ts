/** Objects, what they refer to, and which of them are reached from a root; grows while it is marked. */
import type { Condition } from './conditions.ts'
import type { GcNode, NodeType, Reason } from './gc.ts'

/** A reference. `flat`: what it leads to is kept without what that refers to. */
export interface Edge {
  readonly to: Vertex
  readonly why: string
  readonly flat: boolean
}

interface Reached {
  readonly why: string
  readonly from: Vertex | undefined
}

/** An object, recorded or only referred to. */
export interface Vertex {
  readonly node: GcNode
  /** Its record was seen: a collection may remove it. Never set for containers and sandboxes. */
  collectable: boolean
  readonly edges: Edge[]
  /** Followed on flat ways too: a snapshot cannot be without its parent. */
  readonly firm: Edge[]
  /** A lease of this kind holds its resources flat. */
  holdsFlat: boolean
  /** How it was reached first; undefined: not (yet). */
  reached: Reached | undefined
  /** Reached with all it refers to. */
  isWhole: boolean
  /** What its record says of bytes: a blob's size, the blob an ingest shares, a snapshot's last use. */
  sizeBytes?: number
  shares?: string
  usedAtMs?: number
}

interface Visit {
  readonly vertex: Vertex
  readonly flat: boolean
}

/**
 * The marking is breadth first, so that explanations are shortest, and may be interrupted. Whenever the queue is empty,
 * everything a reached vertex refers to is reached: an edge added to a reached vertex is followed at once.
 */
export class Graph {
  readonly #vertices = new Map<string, Vertex>()
  readonly #conditional = new Map<Vertex, { from: Vertex; condition: Condition }[]>()
  #queue: Visit[] = []
  #next = 0

  vertex(type: NodeType, ns: string, key: string): Vertex {
    const id = `${type}\0${ns}\0${key}`
    let found = this.#vertices.get(id)
    if (found === undefined) {
      found = {
        node: { type, ns, key },
        collectable: false,
        edges: [],
        firm: [],
        holdsFlat: false,
        reached: undefined,
        isWhole: false,
      }
      this.#vertices.set(id, found)
    }
    return found
  }

  find({ type, ns, key }: GcNode): Vertex | undefined {
    return this.#vertices.get(`${type}\0${ns}\0${key}`)
  }

  vertices(): Iterable<Vertex> {
    return this.#vertices.values()
  }

  /** Kept for itself. */
  root(vertex: Vertex, why: string): void {
    this.#reach(vertex, { why, from: undefined }, false)
  }

  connect(from: Vertex, to: Vertex, why: string, { firm = false, flat = false } = {}): void {
    const edge: Edge = { to, why, flat }
    if (firm) from.firm.push(edge)
    else from.edges.push(edge)
    if (from.isWhole) this.#follow(from, edge, flat || from.holdsFlat)
    else if (firm && from.reached !== undefined) this.#follow(from, edge, true)
  }

  /** `from` keeps a snapshot while the condition holds for the time it was used at. */
  connectConditionally(from: Vertex, to: Vertex, condition: Condition): void {
    const known = this.#conditional.get(to)
    if (known === undefined) this.#conditional.set(to, [{ from, condition }])
    else known.push({ from, condition })
    if (to.usedAtMs !== undefined && condition.holds(to.usedAtMs)) this.connect(from, to, `label ${condition.label}`)
  }

  setUsedAt(vertex: Vertex, usedAtMs: number): void {
    vertex.usedAtMs = usedAtMs
    for (const { from, condition } of this.#conditional.get(vertex) ?? [])
      if (condition.holds(usedAtMs)) this.connect(from, vertex, `label ${condition.label}`)
  }

  /** Takes one step of the marking; false when there is nothing left to do. */
  markOne(): boolean {
    const visit = this.#queue[this.#next]
    if (visit === undefined) {
      this.#queue = []
      this.#next = 0
      return false
    }
    this.#next++
    const { vertex, flat } = visit
    if (flat) for (const edge of vertex.firm) this.#follow(vertex, edge, true)
    else if (!vertex.isWhole) {
      vertex.isWhole = true
      for (const edge of vertex.firm) this.#follow(vertex, edge, edge.flat)
      for (const edge of vertex.edges) this.#follow(vertex, edge, edge.flat || vertex.holdsFlat)
    }
    return true
  }

  #follow(from: Vertex, { to, why }: Edge, flat: boolean): void {
    this.#reach(to, { why, from }, flat)
  }

  #reach(vertex: Vertex, reached: Reached, flat: boolean): void {
    if (vertex.isWhole || (flat && vertex.reached !== undefined)) return
    vertex.reached ??= reached
    this.#queue.push({ vertex, flat })
  }
}

/** From a root to the vertex; empty when nothing keeps it. */
export function chainTo(vertex: Vertex): Reason[] {
  const chain: Reason[] = []
  for (let at: Vertex | undefined = vertex; at?.reached !== undefined; at = at.reached.from)
    chain.unshift({ ...at.node, why: at.reached.why })
  return chain
}

export function isGarbage({ collectable, reached }: Vertex): boolean {
  return collectable && reached === undefined
}
