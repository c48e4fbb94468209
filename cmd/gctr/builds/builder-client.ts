/** The builder as a client sees it: the core says where it is, and starts it when it is not running. */
import { BuilderServiceDefinition } from '#api/gen/gantry/services/builder/v1/builder.ts'
import { PluginsServiceDefinition } from '#api/gen/gantry/services/plugins/v1/plugins.ts'
import { connect, createClient } from '#api/rpc/client.ts'
import type { Session } from '../session.ts'

export async function reachBuilder(session: Session) {
  const { address } = await session.client(PluginsServiceDefinition).reach({ kind: 'builder', id: 'dockerfile' })
  const channel = connect(address, { namespace: session.options.namespace, peer: 'builder "dockerfile"' })
  return { builder: createClient(BuilderServiceDefinition, channel), [Symbol.dispose]: () => channel.close() }
}
