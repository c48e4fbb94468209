/** Network options, in Docker's names. */
import { invalidArgument } from '#api/errors/errors.ts'
import type { Network } from '#sdk/network.ts'
import { type MacvlanMode, macvlanModes } from '#sdk/rtnetlink/rtnetlink.ts'

const [parentKey, modeKey] = ['parent', 'macvlan_mode']

export interface MacvlanOptions {
  /** Link of the host. */
  readonly parent: string
  readonly mode: MacvlanMode
}

/** INVALID_ARGUMENT: no parent, an unknown option, a mode that is none. */
export function readOptions({ options }: Pick<Network, 'options'>): MacvlanOptions {
  const unknown = Object.keys(options).find(key => key !== parentKey && key !== modeKey)
  if (unknown !== undefined)
    throw invalidArgument(`network.options: "${unknown}" is not one of ${parentKey}, ${modeKey}`)
  const parent = options[parentKey] ?? ''
  if (!/^[^\s/:]{1,15}$/.test(parent))
    throw invalidArgument(
      `network.options: ${parentKey} "${parent}" is no link of the host: say which, as ${parentKey}=eth0`,
    )
  const mode = options[modeKey] ?? 'bridge'
  const known: readonly string[] = Object.keys(macvlanModes)
  if (!known.includes(mode))
    throw invalidArgument(`network.options: ${modeKey} "${mode}" is not one of ${known.join(', ')}`)
  return { parent, mode: mode as MacvlanMode }
}
