/** A trace as text: a line for each span, with a bar that says when it was. */
import { type Coverage, coverageOf } from './coverage.ts'
import { descend, type SpanNode } from './span-tree.ts'
import { later } from './stretch.ts'

export interface DrawOptions {
  /** Of the whole line. */
  readonly columns: number
  /** Colours by process, as a terminal knows them. */
  readonly colours: boolean
}

const nameColumns = 46
const timeColumns = 19
const leastBar = 20
/** Foreground colours that can be read on dark and on light. */
const palette = [36, 33, 32, 35, 34, 31, 96, 93]

/** Several roots are drawn one after the other, each on a time scale of its own. */
export function drawTrace(roots: readonly SpanNode[], options: DrawOptions): string {
  return roots.map(root => drawRoot(root, options)).join('\n')
}

function drawRoot(root: SpanNode, options: DrawOptions): string {
  const rows = [...descend(root)]
  const paint = painter(
    rows.map(({ node }) => node.process),
    options.colours,
  )
  const barColumns = Math.max(leastBar, options.columns - nameColumns - timeColumns - 3)
  const endNs = rows.reduce((latest, { node }) => later(latest, node.endNs), root.endNs)
  const scale = { startNs: root.startNs, endNs, columns: barColumns }
  const lines = rows.map(({ node, depth }, index) => {
    const isNew = index === 0 || rows[index - 1]?.node.process !== node.process
    const label = `${'  '.repeat(depth)}${isNew ? `[${node.process}] ` : ''}${shortName(node)}`
    const failed = node.error === '' ? '' : ` ! ${node.error}`
    return paint(node.process, `${fit(label, nameColumns)} ${times(node, root)} ${bar(node, scale)}${failed}`)
  })
  const head = `${fit('step', nameColumns)} ${'at ms'.padStart(9)} ${'took ms'.padStart(9)}`
  return [
    head,
    ...lines,
    '',
    ...drawProcesses(
      rows.map(({ node }) => node),
      paint,
    ),
    ...drawCoverage(root, coverageOf(root)),
  ].join('\n')
}

/** Method names are told by their services in the long form; the last part is what people know. */
function shortName({ name, kind }: SpanNode): string {
  const [, service = '', method = ''] = /^[\w.]+\.(\w+)\/(\w+)$/.exec(name) ?? []
  if (method === '') return name
  return `${kind === 'call' ? 'call ' : ''}${service}/${method}`
}

function times(node: SpanNode, root: SpanNode): string {
  return `${ms(node.startNs - root.startNs).padStart(9)} ${ms(node.endNs - node.startNs).padStart(9)}`
}

interface Scale {
  readonly startNs: bigint
  readonly endNs: bigint
  readonly columns: number
}

function bar(node: SpanNode, { startNs, endNs, columns }: Scale): string {
  const at = (ns: bigint) => Math.round((Number(ns - startNs) / Math.max(1, Number(endNs - startNs))) * columns)
  const from = Math.min(Math.max(0, at(node.startNs)), columns - 1)
  const length = Math.max(1, at(node.endNs) - from)
  return `${' '.repeat(from)}${(node.children.length === 0 ? '█' : '─').repeat(length)}`
}

/** How long each process had a step of its own under way. */
function drawProcesses(nodes: readonly SpanNode[], paint: Painter): string[] {
  const processes = Map.groupBy(nodes, ({ process, pid }) => `${process} ${pid}`)
  return [...processes].map(([name, own]) => {
    const leaves = own.filter(({ children }) => children.length === 0)
    const sum = leaves.reduce((total, { startNs, endNs }) => total + endNs - startNs, 0n)
    return paint(
      own[0]?.process ?? '',
      `${fit(`${name}: ${leaves.length} steps`, nameColumns)} ${''.padStart(9)} ${ms(sum).padStart(9)}`,
    )
  })
}

const gapsShown = 3

function drawCoverage(root: SpanNode, { share, wallNs, wireNs, gaps }: Coverage): string[] {
  const told = gaps
    .slice(0, gapsShown)
    .map(gap => `${ms(gap.endNs - gap.startNs)} ms at ${ms(gap.startNs - root.startNs)} in ${shortName(gap.within)}`)
  return [
    `named: ${(share * 100).toFixed(1)}% of ${ms(wallNs)} ms (between processes: ${ms(wireNs)} ms)`,
    ...(told.length === 0 ? [] : [`without a name: ${told.join(', ')}`]),
  ]
}

type Painter = (process: string, text: string) => string

function painter(processes: readonly string[], colours: boolean): Painter {
  const known = [...new Set(processes)]
  return (process, text) =>
    colours ? `\u001b[${palette[known.indexOf(process) % palette.length]}m${text}\u001b[0m` : text
}

function fit(text: string, columns: number): string {
  return text.length > columns ? `${text.slice(0, columns - 1)}…` : text.padEnd(columns)
}

function ms(ns: bigint): string {
  return (Number(ns) / 1e6).toFixed(2)
}
