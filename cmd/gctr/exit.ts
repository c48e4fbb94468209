/** How a command ends: 0, the container's own exit code, or 1 with one line on stderr (125 to 127 where Docker says so). */
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

/** Docker's code for a process that could not be started: 127 not found, 126 not executable, else 125. */
export function startFailureCode(error: unknown): number {
  const [, reason = ''] = /exec: "[^"]*": (.*)/.exec(messageOf(error)) ?? []
  if (/executable file not found|no such file or directory/.test(reason)) return 127
  if (/permission denied|is a directory|exec format error/.test(reason)) return 126
  return runtimeFailed
}

/** Reports why a process could not be started; the Exit to throw. An Exit stays what it is. */
export function startFailure(error: unknown): Exit {
  if (error instanceof Exit) return error
  reportError(error)
  return new Exit(startFailureCode(error))
}

/** Commander's own errors (unknown option and the like) carry an exit code and have been printed. */
function isCommanderError(error: unknown): error is Error & { exitCode: number } {
  return error instanceof Error && 'exitCode' in error
}

export function exitCodeOf(error: unknown): number {
  if (error instanceof SuppressedError) return exitCodeOf(error.suppressed)
  if (error instanceof Exit) return error.code
  if (isBrokenPipe(error)) return 141
  return isCommanderError(error) ? error.exitCode : 1
}

/** One line for a person; the whole stack with GANTRY_DEBUG set. */
export function reportError(error: unknown): void {
  if (error instanceof SuppressedError) {
    // The failure, and then that of cleaning up after it.
    reportError(error.suppressed)
    reportError(error.error)
    return
  }
  if (error instanceof Exit || isCommanderError(error) || isBrokenPipe(error)) return
  if (process.env.GANTRY_DEBUG) console.error(error)
  else console.error(`gctr: ${messageOf(error)}${hint(error)}`)
}

/** The reader of our output is gone, as after `| head`: no news. */
function isBrokenPipe(error: unknown): boolean {
  return error instanceof Error && (error as NodeJS.ErrnoException).code === 'EPIPE'
}

function hint(error: unknown): string {
  if (isGantryError(error, 'UNAVAILABLE') && /gantryd at .*(ENOENT|ECONNREFUSED)/.test(error.message))
    return '\nIs gantryd running? Start it with `gantryd`, or name its socket with --address.'
  return ''
}
