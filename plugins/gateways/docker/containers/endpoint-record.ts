/** What `docker network connect` asked for is shown by inspect as what `docker create` asked for. */
import type { Core } from '../core-client/core.ts'
import { endpointSchema } from './create/body.ts'
import { type DockerRecord, encodeRecord } from './record.ts'
import { rewrite } from './rewrite.ts'
import type { Found } from './store.ts'

/** `wish`: the EndpointConfig of the request; undefined: the container left the network. */
export async function noteEndpoint(core: Core, { id, record }: Found, network: string, wish?: object): Promise<void> {
  await core.containers.update({ id, extensions: encodeRecord(withEndpoint(record, network, wish)) })
}

/** The network need not be there before the container starts. */
export async function joinLate(core: Core, found: Found, network: string, wish: object): Promise<void> {
  const { Aliases = null, ...rest } = endpointSchema.parse(wish)
  const others = networksOf(found).filter(one => one.network !== network)
  const aliases = [...new Set([found.name, ...(Aliases ?? []), found.id.slice(0, 12)])]
  const late = { network, aliases, mac: rest.MacAddress, late: true }
  await rewrite(core, found, withEndpoint(found.record, network, wish), { networks: [...others, late] })
}

export async function leaveLate(core: Core, found: Found, network: string): Promise<void> {
  const others = networksOf(found).filter(one => one.network !== network)
  const networks = others.length > 0 ? others : [{ network: 'none' }]
  await rewrite(core, found, withEndpoint(found.record, network, undefined), { networks })
}

/** On none: what the core calls `none` then, which goes with no other. */
const networksOf = ({ core }: Found) => (core.config?.networks ?? []).filter(({ network }) => network !== 'none')

function withEndpoint(record: DockerRecord, network: string, wish: object | undefined): DockerRecord {
  const { [network]: _old, ...others } = record.endpoints
  const endpoints = wish === undefined ? others : { ...others, [network]: endpointSchema.parse(wish) }
  return { ...record, endpoints }
}
