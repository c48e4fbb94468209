/** What a build tells, as the lines of Docker's classic builder. */
import type { BuildResponse, Step } from '#api/gen/gantry/services/builder/v1/builder.ts'
import type { ProgressMessage } from '../images/progress-messages.ts'

const shortIdLength = 12

export class BuildMessages {
  readonly #begun = new Set<number>()

  read({ step, output }: BuildResponse): ProgressMessage[] {
    if (output) return [{ stream: output.data.toString() }]
    if (!step || step.number === 0) return []
    return this.#begun.has(step.id) ? ended(step) : this.#begin(step)
  }

  #begin({ id, number, total, instruction }: Step): ProgressMessage[] {
    this.#begun.add(id)
    return [{ stream: `Step ${number}/${total} : ${instruction}` }, { stream: '\n' }]
  }
}

function ended({ cached, error, resultId }: Step): ProgressMessage[] {
  // What failed is the last message's to say.
  if (error !== '') return []
  const using = cached ? [{ stream: ' ---> Using cache\n' }] : []
  return resultId === '' ? using : [...using, { stream: ` ---> ${shortId(resultId)}\n` }]
}

export function shortId(id: string): string {
  return id.replace(/^sha256:/, '').slice(0, shortIdLength)
}

/** A command that failed brings its exit code along. */
export function buildError(message: string): ProgressMessage {
  const code = /returned a non-zero code: (\d+)/.exec(message)?.[1]
  return { errorDetail: { ...(code !== undefined && { code: Number(code) }), message }, error: message }
}
