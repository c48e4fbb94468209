/** A build on a terminal: one picture, drawn again in place as long as it runs. */
import { styleText } from 'node:util'
import { createLogUpdate } from 'log-update'
import type { BuildResponse } from '#api/gen/gantry/services/builder/v1/builder.ts'
import { now } from '#api/types/clock.ts'
import { buildFrame, type FrameLine } from './build-frame.ts'
import { BuildProgress } from './build-progress.ts'
import type { BuildView } from './build-view.ts'

const redrawMs = 100
/** Of a stream that is no terminal, with `--progress tty`. */
const assumed = { columns: 80, rows: 24 }

export class TerminalBuild implements BuildView {
  readonly #out: NodeJS.WriteStream
  readonly #draw: ReturnType<typeof createLogUpdate>
  readonly #progress = new BuildProgress()
  readonly #startedAt = now()
  readonly #redraw: NodeJS.Timeout

  constructor(out: NodeJS.WriteStream) {
    this.#out = out
    this.#draw = createLogUpdate(out)
    // What is told between two pictures is in the next one; and times go on when nothing is told.
    this.#redraw = setInterval(() => this.#draw(this.#picture(false)), redrawMs).unref()
  }

  tell(event: BuildResponse): void {
    this.#progress.tell(event)
  }

  end(): void {
    clearInterval(this.#redraw)
    this.#draw.clear()
    this.#draw.done()
    // All of it, be it higher than the terminal: it is not drawn over any more.
    this.#out.write(`${this.#picture(true)}\n`)
    for (const { rule, message, excerpt } of this.#progress.warnings)
      this.#out.write(`${this.#style('yellow', `WARN ${rule}: ${message}`)}\n${excerpt}\n`)
  }

  #picture(isOver: boolean): string {
    const { columns = assumed.columns, rows = assumed.rows } = this.#out
    const time = { startedAt: this.#startedAt, now: now(), isOver }
    const frame = buildFrame(this.#progress, time, { columns: columns || assumed.columns, rows: rows || assumed.rows })
    return frame.map(line => this.#painted(line)).join('\n')
  }

  #painted({ text, mood }: FrameLine): string {
    if (mood === 'done') return this.#style('blue', text)
    if (mood === 'failed') return this.#style('red', text)
    return mood === 'log' ? this.#style('dim', text) : text
  }

  /** No colour where NO_COLOR is set, or where it is no terminal (no-color.org; Node looks). */
  #style(style: 'blue' | 'red' | 'dim' | 'yellow', text: string): string {
    return styleText(style, text, { stream: this.#out })
  }
}
