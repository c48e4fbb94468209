/** How a command ends: 0, the container's own exit code, or 1 with one line on stderr (125 where Docker says so). */
import { isGantryError, messageOf } from '#api/errors/errors.ts'

/** Thrown to leave with a code and without a message, such as a container's. */
export class Exit extends Error {
  readonly code: number
  constructor(code: number) {
    super(`exit ${code}`)
    this.code = code
  }
}

/** As Docker: 125 when the runtime failed before the container's own process could say anything. */
export const runtimeFailed = 125

/** Commander's own errors (unknown option and the like) carry an exit code and have been printed. */
function isCommanderError(error: unknown): error is Error & { exitCode: number } {
  return error instanceof Error && 'exitCode' in error
}

export function exitCodeOf(error: unknown): number {
  if (error instanceof Exit) return error.code
  return isCommanderError(error) ? error.exitCode : 1
}

/** One line for a person; the whole stack with GANTRY_DEBUG set. */
export function reportError(error: unknown): void {
  if (error instanceof Exit || isCommanderError(error)) return
  if (process.env.GANTRY_DEBUG) console.error(error)
  else console.error(`gctr: ${messageOf(error)}${hint(error)}`)
}

function hint(error: unknown): string {
  if (isGantryError(error, 'UNAVAILABLE') && /ENOENT|ECONNREFUSED/.test(error.message))
    return '\nIs gantryd running? Start it with `gantryd`, or name its socket with --address.'
  return ''
}
