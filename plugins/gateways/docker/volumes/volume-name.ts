import { badRequest } from '../http/http-error.ts'

const pattern = /^[a-zA-Z0-9][a-zA-Z0-9_.-]*$/

export const isVolumeName = (name: string): boolean => pattern.test(name) && Buffer.byteLength(name) <= 255

/** 400 in Docker's words. */
export function checkName(name: string): void {
  if (name.length === 1)
    throw badRequest('volume name is too short, names should be at least two alphanumeric characters')
  if (!isVolumeName(name))
    throw badRequest(
      `"${name}" includes invalid characters for a local volume name, only "[a-zA-Z0-9][a-zA-Z0-9_.-]" are allowed. If you intended to pass a host directory, use absolute path`,
    )
}
