/**
 * How much of a trace has a name. A stretch of time is named while a step goes on, or a call that nobody tells more of.
 * Time in a call before its callee begins, and after it ended, is the way between the processes (the socket, and the
 * other's event loop), which is named so. What is left is time in which there was nothing but a request under way, in
 * the process that made it or in one that answers it, and no step of theirs: code that has no name.
 */
import { descend, type SpanNode } from './span-tree.ts'
import { between, lengthOf, type Stretch, united } from './stretch.ts'

/** A stretch without a name, and where: the innermost span that went on meanwhile. */
export interface Gap extends Stretch {
  readonly within: SpanNode
}

export interface Coverage {
  readonly wallNs: bigint
  readonly namedNs: bigint
  /** Of the named time: in which nothing went on but a message on its way. */
  readonly wireNs: bigint
  /** 0 to 1. */
  readonly share: number
  /** The longest first. */
  readonly gaps: readonly Gap[]
}

/** Of the time of `root`; what goes on after its end, behind the answer, is left out. */
export function coverageOf(root: SpanNode): Coverage {
  const nodes = [...descend(root)].map(({ node }) => node)
  const work = united(
    nodes.filter(node => node !== root && isWork(node)),
    root,
  )
  const named = united([...work, ...nodes.flatMap(onTheWire)], root)
  const wallNs = root.endNs - root.startNs
  const namedNs = lengthOf(named)
  const gaps = between(named, root)
    .map(gap => ({ ...gap, within: innermost(nodes, gap) }))
    .toSorted((a, b) => Number(b.endNs - b.startNs - (a.endNs - a.startNs)))
  const share = wallNs === 0n ? 1 : Number(namedNs) / Number(wallNs)
  return { wallNs, namedNs, wireNs: namedNs - lengthOf(work), share, gaps }
}

/** Names nothing: whoever waits waits for what others do, which is told by them. */
function isWork({ name, kind, children }: SpanNode): boolean {
  return (kind === 'step' || children.length === 0) && !name.startsWith('wait for ')
}

/** Before and after the callee's part of a call. */
function onTheWire(node: SpanNode): Stretch[] {
  if (node.kind !== 'call') return []
  const answers = node.children.filter(({ kind }) => kind === 'answer')
  if (answers.length === 0) return []
  return between(united(answers, node), node)
}

/** The shortest span around the gap. */
function innermost(nodes: readonly SpanNode[], gap: Stretch): SpanNode {
  const around = nodes.filter(({ startNs, endNs }) => startNs <= gap.startNs && endNs >= gap.endNs)
  return around.reduce((a, b) => (b.endNs - b.startNs < a.endNs - a.startNs ? b : a))
}
