import { invalidArgument, isGantryError, messageOf } from '#api/errors/errors.ts'

/**
 * For `catch` of a list call whose containerd counterpart wraps a bad filter once more (containers, images, leases, plugins):
 * the class text stands there twice; clients strip one and show the rest.
 */
export function refusedFilter(cause: unknown): never {
  if (!isGantryError(cause, 'INVALID_ARGUMENT')) throw cause
  throw invalidArgument(messageOf(cause), { cause })
}
