/** Networks by what clients call them. */
import { isGantryError } from '#api/errors/errors.ts'
import type { NetworkRecord } from '#api/gen/gantry/services/networks/v1/networks.ts'
import type { Core } from '../core-client/core.ts'
import { badRequest, notFound } from '../http/http-error.ts'

/** By name, id, or the beginning of the id. Docker's 404, and 400 when several fit. */
export async function findNetwork({ networks }: Core, text: string): Promise<NetworkRecord> {
  // Docker's name for "whatever the engine's default is".
  const name = text === 'default' ? 'bridge' : text
  try {
    const { network } = await networks.get({ network: name })
    if (network) return network
  } catch (error) {
    if (isGantryError(error, 'INVALID_ARGUMENT'))
      throw badRequest(`network ${text} is ambiguous (several matches found based on ID prefix)`, { cause: error })
    if (!isGantryError(error, 'NOT_FOUND')) throw error
  }
  throw notFound(`network ${text} not found`)
}
