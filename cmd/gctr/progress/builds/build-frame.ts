/** One picture of a build under way: a headline, a line for each step with its time, and a window of what running steps write. */
import type { Timestamp } from '#api/gen/google/protobuf/timestamp.ts'
import { type BuildProgress, type StepProgress, secondsBetween } from './build-progress.ts'

export interface FrameSize {
  readonly columns: number
  readonly rows: number
}

export interface FrameTime {
  readonly startedAt: Timestamp
  readonly now: Timestamp
  readonly isOver: boolean
}

/** A line of the picture, and how it is meant: colour is for who prints it. */
export interface FrameLine {
  readonly text: string
  readonly mood: 'plain' | 'running' | 'done' | 'failed' | 'log'
}

/** Lines of a running step that are shown below it. */
const windowLines = 6

/**
 * At most `rows` lines of at most `columns` characters, except at the end, when each step is shown once: steps that
 * began long ago go first, then the windows.
 */
export function buildFrame(progress: BuildProgress, time: FrameTime, { columns, rows }: FrameSize): FrameLine[] {
  const finished = progress.steps.filter(isOver).length
  const ended = time.isOver ? ' FINISHED' : ''
  const seconds = secondsBetween(time.startedAt, time.now).toFixed(1)
  const headline = `[+] Building ${seconds}s (${finished}/${progress.total})${ended}`
  const steps = progress.steps.map(one => ({ one, lines: stepLines(one, time, columns) }))
  const room = time.isOver ? Number.POSITIVE_INFINITY : Math.max(1, rows - 2)
  return [{ text: cut(headline, columns), mood: 'plain' }, ...fitting(steps, room)]
}

interface DrawnStep {
  readonly one: StepProgress
  readonly lines: readonly FrameLine[]
}

/** What runs is shown before what is over, the later before the earlier. */
function fitting(steps: readonly DrawnStep[], room: number): FrameLine[] {
  const kept = new Set<DrawnStep>()
  let left = room
  const later = steps.toReversed()
  for (const step of [...later.filter(({ one }) => !isOver(one)), ...later.filter(({ one }) => isOver(one))]) {
    if (left < step.lines.length && kept.size > 0) break
    kept.add(step)
    left -= step.lines.length
  }
  return steps.filter(step => kept.has(step)).flatMap(({ lines }) => lines.slice(0, room))
}

function stepLines(progress: StepProgress, { now, isOver: buildIsOver }: FrameTime, columns: number): FrameLine[] {
  const { step, lastLines } = progress
  const mark = step.error !== '' ? 'ERROR ' : step.cached ? 'CACHED ' : ''
  const time = `${secondsBetween(step.startedAt, step.completedAt ?? now).toFixed(1)}s`
  const mood = step.error !== '' ? 'failed' : isOver(progress) ? 'done' : 'running'
  const line: FrameLine = { text: aligned(` => ${mark}${step.name}`, time, columns), mood }
  if (isOver(progress) || buildIsOver) return [line]
  const window = lastLines
    .slice(-windowLines)
    .map(text => ({ text: cut(` => => # ${text}`, columns), mood: 'log' }) as const)
  return [line, ...window]
}

function isOver({ step }: StepProgress): boolean {
  return step.completedAt !== undefined
}

/** The time stands at the right edge, and is never what is cut. */
function aligned(text: string, time: string, columns: number): string {
  const room = Math.max(0, columns - time.length - 1)
  return `${cut(text, room).padEnd(room)} ${time}`
}

function cut(text: string, columns: number): string {
  const oneLine = text.replaceAll(/\s*\n\s*/g, ' ')
  return oneLine.length <= columns ? oneLine : `${oneLine.slice(0, Math.max(0, columns - 1))}…`
}
