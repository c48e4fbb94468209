/**
 * Errors as every part of Gantry throws them: a code of {@link errorTable} and a message that names the thing,
 * its value and what to do. Thrown where the fact is known, wrapped with `cause` only to add a fact,
 * and turned into a wire status in `api/rpc` only.
 */
import { type ErrorCode, errorTable } from './error-table.ts'

export { codeOfStatus, type ErrorCode, errorTable } from './error-table.ts'

/** An error with a code that clients may act on. */
export class GantryError extends Error {
  override readonly name = 'GantryError'
  readonly code: ErrorCode

  constructor(code: ErrorCode, message: string, options: { cause?: unknown } = {}) {
    super(message, 'cause' in options ? { cause: options.cause } : undefined)
    this.code = code
  }
}

export interface ErrorOptions {
  cause?: unknown
  /** The message is complete: do not append the class text that containerd's clients strip. */
  bare?: boolean
}

/** True for an error of ours, with that code when one is given. */
export function isGantryError(error: unknown, code?: ErrorCode): error is GantryError {
  return error instanceof GantryError && (code === undefined || error.code === code)
}

/** The message of whatever was thrown, in one line. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}

function factory(code: ErrorCode) {
  const suffix = errorTable[code].text
  return (message: string, { bare = false, ...options }: ErrorOptions = {}): GantryError =>
    new GantryError(code, bare ? message : `${message}: ${suffix}`, options)
}

/** The caller withdrew the call. */
export const canceled = factory('CANCELED')
/** Nobody knows better; avoid. */
export const unknown = factory('UNKNOWN')
/** The request is wrong whatever the state; the message names the field and its value. */
export const invalidArgument = factory('INVALID_ARGUMENT')
/** Not done in time; it may still have been done. */
export const deadlineExceeded = factory('DEADLINE_EXCEEDED')
/** The named thing is not there. */
export const notFound = factory('NOT_FOUND')
/** The name is taken. */
export const alreadyExists = factory('ALREADY_EXISTS')
/** Understood and refused, whoever asks again. */
export const permissionDenied = factory('PERMISSION_DENIED')
/** A limit, a pool or a disk is full. */
export const resourceExhausted = factory('RESOURCE_EXHAUSTED')
/** Right request, wrong state; the message says which state is needed. */
export const failedPrecondition = factory('FAILED_PRECONDITION')
/** Lost against a concurrent change; read anew and try again. */
export const aborted = factory('ABORTED')
/** Past the end, such as a write offset. */
export const outOfRange = factory('OUT_OF_RANGE')
/** Part of the contract that we do not do (yet). */
export const notImplemented = factory('NOT_IMPLEMENTED')
/** A broken promise of our own code. */
export const internal = factory('INTERNAL')
/** Cannot be served now; the same call may succeed later. */
export const unavailable = factory('UNAVAILABLE')
/** Stored data is damaged. */
export const dataLoss = factory('DATA_LOSS')
/** No valid credentials. */
export const unauthenticated = factory('UNAUTHENTICATED')
