/** Which gantryd this is among those of the host. */
import { createHash } from 'node:crypto'
import { configSchema } from './config.ts'

export interface Instance {
  /** Eight hexadecimal digits; names of kernel objects that all of the host shares are made from it. */
  id: string
  /** Name of cgroups: "gantry" for the one with the default places, "gantry-<id>" for any other. */
  name: string
}

/** The id of the one with the default places: no digest of ours comes out so. */
const defaultId = '00000000'

/** The same root and state give the same instance, so that a restarted gantryd finds what it made. */
export function instanceOf({ root, state }: { root: string; state: string }): Instance {
  const defaults = configSchema.parse({})
  if (root === defaults.root && state === defaults.state) return { id: defaultId, name: 'gantry' }
  const id = createHash('sha256').update(`${root}\0${state}`).digest('hex').slice(0, 8)
  return { id, name: `gantry-${id}` }
}
