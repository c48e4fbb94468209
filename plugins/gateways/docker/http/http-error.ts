/** Failures in Docker's form: a status and `{"message": …}`, in the wording that clients know. */
import { errorTable, isGantryError } from '#api/errors/errors.ts'

/** Thrown by routes; the server turns it into an answer. */
export class HttpError extends Error {
  override readonly name = 'HttpError'
  readonly status: number

  constructor(status: number, message: string, options?: { cause?: unknown }) {
    super(message, options)
    this.status = status
  }
}

const factory =
  (status: number) =>
  (message: string, options?: { cause?: unknown }): HttpError =>
    new HttpError(status, message, options)

export const badRequest = factory(400)
export const forbidden = factory(403)
export const notFound = factory(404)
export const conflict = factory(409)
export const serverError = factory(500)
export const notImplemented = factory(501)
export const unavailable = factory(503)

/** "It is so already": 304 has no body. */
export const notModified = (): HttpError => new HttpError(304, '')

/** Docker's answer for a container that nobody knows. */
export const noSuchContainer = (name: string, options?: { cause?: unknown }): HttpError =>
  notFound(`No such container: ${name}`, options)

/** The status and the words of whatever was thrown. Errors of the core keep their own message. */
export function describeError(error: unknown): { status: number; message: string; isOurs: boolean } {
  if (error instanceof HttpError) return { status: error.status, message: error.message, isOurs: true }
  if (isGantryError(error)) return { status: errorTable[error.code].http, message: error.message, isOurs: true }
  const status = statusOf(error)
  const message = error instanceof Error ? error.message : String(error)
  return { status, message, isOurs: status < 500 }
}

/** Fastify's own errors carry a status. */
function statusOf(error: unknown): number {
  const status = error instanceof Error && 'statusCode' in error ? Number(error.statusCode) : 500
  return status >= 400 && status < 600 ? status : 500
}
