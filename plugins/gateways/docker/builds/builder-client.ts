/** The builder, wherever it serves at the moment. */
import { BuilderServiceDefinition } from '#api/gen/gantry/services/builder/v1/builder.ts'
import { connect, createClient } from '#api/rpc/client.ts'
import { type Core, dockerNamespace } from '../core-client/core.ts'

const builderId = 'dockerfile'

export interface BuilderClient extends Disposable {
  readonly builder: ReturnType<typeof connectBuilder>['builder']
}

/** Starts it when it is not running. UNAVAILABLE: it does not start. */
export async function reachBuilder({ plugins }: Core): Promise<BuilderClient> {
  const { address } = await plugins.reach({ kind: 'builder', id: builderId })
  const { builder, channel } = connectBuilder(address)
  return { builder, [Symbol.dispose]: () => channel.close() }
}

function connectBuilder(address: string) {
  const channel = connect(address, { namespace: dockerNamespace, peer: `builder "${builderId}"` })
  return { channel, builder: createClient(BuilderServiceDefinition, channel) }
}
