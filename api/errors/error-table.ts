/**
 * The one table of error codes: what each means on every wire we speak.
 * `grpc` is the canonical status number (grpc/status.md), `http` what the Docker gateway answers, `text` the
 * class suffix that containerd's clients look for in a message (`image "x": not found`).
 * docs/errors.md describes each row under its `code`; a test keeps the two equal.
 */
export const errorTable = {
  CANCELED: { grpc: 1, http: 499, text: 'context canceled' },
  UNKNOWN: { grpc: 2, http: 500, text: 'unknown' },
  INVALID_ARGUMENT: { grpc: 3, http: 400, text: 'invalid argument' },
  DEADLINE_EXCEEDED: { grpc: 4, http: 504, text: 'context deadline exceeded' },
  NOT_FOUND: { grpc: 5, http: 404, text: 'not found' },
  ALREADY_EXISTS: { grpc: 6, http: 409, text: 'already exists' },
  PERMISSION_DENIED: { grpc: 7, http: 403, text: 'permission denied' },
  RESOURCE_EXHAUSTED: { grpc: 8, http: 507, text: 'resource exhausted' },
  FAILED_PRECONDITION: { grpc: 9, http: 409, text: 'failed precondition' },
  ABORTED: { grpc: 10, http: 409, text: 'aborted' },
  OUT_OF_RANGE: { grpc: 11, http: 400, text: 'out of range' },
  NOT_IMPLEMENTED: { grpc: 12, http: 501, text: 'not implemented' },
  INTERNAL: { grpc: 13, http: 500, text: 'internal' },
  UNAVAILABLE: { grpc: 14, http: 503, text: 'unavailable' },
  DATA_LOSS: { grpc: 15, http: 500, text: 'data loss' },
  UNAUTHENTICATED: { grpc: 16, http: 401, text: 'unauthenticated' },
} as const

export type ErrorCode = keyof typeof errorTable

const codeByStatus = new Map<number, ErrorCode>(
  Object.entries(errorTable).map(([code, row]) => [row.grpc, code as ErrorCode]),
)

/** The code for a gRPC status number; UNKNOWN for numbers nobody defined. */
export function codeOfStatus(status: number): ErrorCode {
  return codeByStatus.get(status) ?? 'UNKNOWN'
}
