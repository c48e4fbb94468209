/** Failures of native layer work, in the terms of our callers. */
import {
  dataLoss,
  type GantryError,
  internal,
  invalidArgument,
  isGantryError,
  resourceExhausted,
} from '#api/errors/errors.ts'
import { fullDiskAdvice, isFullDisk } from '#api/errors/full-disk.ts'
import { isSysError, type SysError } from '#api/sys/sys.ts'

/** `what` starts the message: `layer sha256:…`. `place`: where the work writes to, which may be full. */
export function layerError(what: string, place: string, error: unknown): unknown {
  if (isGantryError(error) || !isSysError(error)) return error
  const advice = isFullDisk(error) ? `: ${fullDiskAdvice(place)}` : ''
  return factoryFor(error)(`${what}: ${error.message}${advice}`, { cause: error })
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
