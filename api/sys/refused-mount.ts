import { invalidArgument } from '../errors/errors.ts'
import { isSysError } from './sys.ts'

/** What mount(2) says of mounts that are no good, as opposed to a machine that is not. */
const callersFault = ['EINVAL', 'ENODEV', 'ENOENT', 'ENOTDIR', 'ENOTBLK', 'ELOOP', 'ENAMETOOLONG', 'EACCES', 'E2BIG']

/** For `catch` of a mount that a caller asked for. INVALID_ARGUMENT when the fault is the caller's, else the error itself. */
export function refusedMount(error: unknown): never {
  if (!isSysError(error) || !callersFault.includes(error.code)) throw error
  throw invalidArgument(`these mounts cannot be made: ${error.message}`, { cause: error })
}
