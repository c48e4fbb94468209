/** Failures of native layer work, in the terms of our callers. */
import {
  dataLoss,
  type GantryError,
  internal,
  invalidArgument,
  isGantryError,
  resourceExhausted,
} from '#api/errors/errors.ts'
import { isSysError, type SysError } from '#api/sys/sys.ts'

/** `what` starts the message: `layer sha256:…`. */
export function layerError(what: string, error: unknown): unknown {
  if (isGantryError(error) || !isSysError(error)) return error
  return factoryFor(error)(`${what}: ${error.message}`, { cause: error })
}

function factoryFor({ code }: SysError): (message: string, options: { cause: unknown }) => GantryError {
  switch (code) {
    case 'EUNSAFE_ARCHIVE':
    case 'ELIMIT_ARCHIVE':
      return invalidArgument
    case 'EINVAL_ARCHIVE':
    case 'ECOMPRESSION':
      return dataLoss
    case 'ENOSPC':
    case 'EDQUOT':
      return resourceExhausted
    default:
      return internal
  }
}
