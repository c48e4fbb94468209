/** A full disk or quota, told so that it can be helped. */
import { messageOf, resourceExhausted } from './errors.ts'

/** By the errno of a system call: ENOSPC, EDQUOT. */
export function isFullDisk(error: unknown): boolean {
  const code = error instanceof Error && 'code' in error ? error.code : undefined
  return code === 'ENOSPC' || code === 'EDQUOT'
}

/** Which disk it is, and what to do: the end of an error message. `place`: a path on it. */
export function fullDiskAdvice(place: string): string {
  return `the disk of ${place} is full: free some space there, such as by docker system prune, and try again`
}

/** RESOURCE_EXHAUSTED with the advice for a full disk; any other error as it is. */
export function fullDiskError(place: string, error: unknown): unknown {
  if (!isFullDisk(error)) return error
  return resourceExhausted(`${messageOf(error)}: ${fullDiskAdvice(place)}`, { cause: error })
}
