/** What a shim's executable says of itself: by `-info` (containerd 2), or by `-v`, which older ones have. */
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { failedPrecondition, messageOf } from '#api/errors/errors.ts'
import { RuntimeInfo, RuntimeRequest } from '#api/gen/containerd/types/introspection.ts'

export interface ShimFacts {
  /** As it says it; empty: it answers, but names none. */
  readonly version: string
  /** The runtime's own name; empty for one that knows only `-v`. */
  readonly name: string
  /** Type of the options it takes; empty: it does not say. */
  readonly optionsType: string
}

const answerMs = 10_000
const maxAnswerBytes = 1024 * 1024
const run = promisify(execFile)

/** FAILED_PRECONDITION: it cannot be run, or knows neither flag. */
export async function askShim(path: string): Promise<ShimFacts> {
  try {
    return await fromInfo(path)
  } catch {
    return await fromVersion(path)
  }
}

async function fromInfo(path: string): Promise<ShimFacts> {
  const running = run(path, ['-info'], { timeout: answerMs, maxBuffer: maxAnswerBytes, encoding: 'buffer' })
  running.child.stdin?.on('error', () => {})
  running.child.stdin?.end(RuntimeRequest.encode(RuntimeRequest.fromPartial({ runtimePath: path })).finish())
  const { stdout } = await running
  const { name, version, options } = RuntimeInfo.decode(stdout)
  if (name === '') throw failedPrecondition(`${path} -info names no runtime`)
  return { name, version: version?.version ?? '', optionsType: options?.typeUrl ?? '' }
}

async function fromVersion(path: string): Promise<ShimFacts> {
  try {
    const { stdout } = await run(path, ['-v'], { timeout: answerMs, maxBuffer: maxAnswerBytes })
    return { name: '', version: /^\s*Version:\s*(\S+)/m.exec(stdout)?.[1] ?? '', optionsType: '' }
  } catch (cause) {
    throw failedPrecondition(`${path} is no shim: it answers neither -info nor -v (${messageOf(cause)})`, { cause })
  }
}
