/** What a runtime says of itself: its shim's `-info` (containerd 1.7 and newer). */
import { internal, messageOf, notImplemented } from '#api/errors/errors.ts'
import { RuntimeInfo, RuntimeRequest } from '#api/gen/containerd/types/introspection.ts'
import { Any } from '#api/gen/google/protobuf/any.ts'
import { spawnDetached } from '#api/sys/sys.ts'
import { resolveShim, type ShimPlaces, servingRuntime } from './runtime-name.ts'

const requestType = 'containerd.types.RuntimeRequest'
const infoType = 'containerd.types.RuntimeInfo'
const timeoutMs = 10_000

export interface RuntimeInfoParts {
  readonly shims: ShimPlaces
  /** Environment of the shim, such as PATH. */
  readonly environment: Readonly<Record<string, string>>
}

/**
 * Answers a `RuntimeRequest` with the `RuntimeInfo` of the shim that would serve such a container: its name, version,
 * options, and the features of its OCI runtime. NOT_IMPLEMENTED for another question; NOT_FOUND when there is no such
 * runtime; INTERNAL with what the shim said when it has no `-info` (containerd 1.6 and older).
 */
export async function runtimeInfo({ shims, environment }: RuntimeInfoParts, question: Any): Promise<Any> {
  if (!question.typeUrl.endsWith(requestType))
    throw notImplemented(`a runtime is asked by a ${requestType}, not by "${question.typeUrl}"`)
  const { runtimePath, options } = RuntimeRequest.decode(question.value)
  const { path: shimPath } = await resolveShim(servingRuntime(runtimePath, options, shims), shims)
  const stdin = options && Any.encode(options).finish()
  const { code, stdout, stderr } = await spawnDetached({
    argv: [shimPath, '-info'],
    env: { ...environment },
    cwd: '/',
    timeoutMs,
    ...(stdin && { stdin }),
  })
  if (code !== 0) throw internal(`${shimPath} -info failed (exit code ${code}): ${stderr.toString().trim()}`)
  return { typeUrl: infoType, value: checked(shimPath, stdout) }
}

function checked(shimPath: string, answer: Buffer): Buffer {
  try {
    RuntimeInfo.decode(answer)
    return answer
  } catch (cause) {
    throw internal(`${shimPath} -info answered no ${infoType}: ${messageOf(cause)}`, { cause })
  }
}
