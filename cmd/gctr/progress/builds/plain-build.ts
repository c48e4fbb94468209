/** A build as lines: what begins, what it writes, how it ends; each line says whose it is. */
import type { BuildResponse, Step } from '#api/gen/gantry/services/builder/v1/builder.ts'
import { secondsBetween } from './build-progress.ts'
import type { BuildView } from './build-view.ts'

export class PlainBuild implements BuildView {
  readonly #out: { write(text: string): unknown }
  readonly #begun = new Set<number>()
  /** The piece of a line that each step has written last. */
  readonly #partial = new Map<number, string>()

  constructor(out: { write(text: string): unknown }) {
    this.#out = out
  }

  tell({ step, output, warning }: BuildResponse): void {
    if (warning) this.#out.write(`WARN ${warning.rule}: ${warning.message}\n${warning.excerpt}\n`)
    if (output) this.#output(output.step, output.data.toString())
    if (step && !this.#begun.has(step.id)) {
      this.#begun.add(step.id)
      this.#line(step.id, step.name)
    } else if (step) this.#end(step)
  }

  end(): void {}

  #output(id: number, text: string): void {
    const lines = ((this.#partial.get(id) ?? '') + text).split('\n')
    this.#partial.set(id, lines.pop() ?? '')
    for (const line of lines) this.#line(id, line)
  }

  #end(step: Step): void {
    const rest = this.#partial.get(step.id) ?? ''
    if (rest !== '') this.#line(step.id, rest)
    if (step.error !== '') this.#line(step.id, `ERROR: ${step.error.split('\n')[0]}`)
    else
      this.#line(
        step.id,
        step.cached ? 'CACHED' : `DONE ${secondsBetween(step.startedAt, step.completedAt).toFixed(1)}s`,
      )
  }

  #line(id: number, text: string): void {
    this.#out.write(`#${id} ${text}\n`)
  }
}
