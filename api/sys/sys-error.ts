/** How a failed system call looks. */

/**
 * What every call of this folder throws. `code` is the symbolic errno (`ENOENT`), or one of ours:
 * `EINVAL_ARCHIVE` (not a well-formed archive, or truncated), `EUNSAFE_ARCHIVE` (an entry points outside its root),
 * `ELIMIT_ARCHIVE` (a limit was crossed), `ECOMPRESSION` (damaged gzip or zstd data), `ECANCELED` (the signal fired).
 */
export interface SysError extends Error {
  code: string
  /** Negative, as in Node; 0 for our own codes. */
  errno: number
  syscall?: string
  path?: string
  /** Second path of calls that have two. */
  dest?: string
  /** netlink: the kernel's own explanation (NLMSGERR_ATTR_MSG), also part of `message`. */
  extAck?: string
  /** netlink: `nlmsg_seq` of the request that failed. */
  seq?: number
  /** Archives: the entry at fault and the byte offset of its header in the uncompressed stream. */
  entry?: string
  offset?: number
}

/** True for an error of this module with that code; the way to tell an expected failure. */
export function isSysError(error: unknown, code?: string): error is SysError {
  return error instanceof Error && 'code' in error && (code === undefined || error.code === code)
}
