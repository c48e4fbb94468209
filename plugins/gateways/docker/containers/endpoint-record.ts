/** What `docker network connect` asked for is shown by inspect as what `docker create` asked for. */
import type { Core } from '../core-client/core.ts'
import { endpointSchema } from './create/body.ts'
import { type DockerRecord, encodeRecord } from './record.ts'
import type { Found } from './store.ts'

/** `wish`: the EndpointConfig of the request; undefined: the container left the network. */
export async function noteEndpoint(core: Core, { id, record }: Found, network: string, wish?: object): Promise<void> {
  const { [network]: _old, ...others } = record.endpoints
  const endpoints: DockerRecord['endpoints'] =
    wish === undefined ? others : { ...others, [network]: endpointSchema.parse(wish) }
  await core.containers.update({ id, extensions: encodeRecord({ ...record, endpoints }) })
}
