/** A network plugin on the wire, both ends: gantry.network.v1.NetworkPluginService. */
import { internal, notImplemented } from '#api/errors/errors.ts'
import { NetworkPluginServiceDefinition } from '#api/gen/gantry/network/v1/network.ts'
import type { Client } from '#api/rpc/definition.ts'
import type { NetworkPlugin } from './network.ts'
import {
  checkAdd,
  checkAttachment,
  checkNetwork,
  checkNetworkId,
  checkOptions,
  checkPorts,
  checkTrace,
} from './network-requests.ts'
import { type ServedService, service } from './plugin.ts'

/** Serves `plugin`, with the checks every plugin needs in front. */
export function networkService(plugin: NetworkPlugin): ServedService {
  return service(NetworkPluginServiceDefinition, {
    createNetwork: async ({ network }) => ({ network: await plugin.createNetwork(checkNetwork(network)) }),
    async removeNetwork({ networkId }) {
      checkNetworkId(networkId)
      await plugin.removeNetwork(networkId)
      return {}
    },
    listNetworks: async () => ({ networks: await plugin.listNetworks() }),
    async add(request) {
      checkAdd(request)
      checkOptions(request.options, plugin.endpointOptions)
      return { result: await plugin.add(request) }
    },
    async del(request) {
      checkAttachment(request)
      await plugin.del(request)
      return {}
    },
    async update(request) {
      checkAttachment(request)
      checkPorts(request.publish)
      checkPorts(request.unpublish)
      checkOptions(request.endpointOptions?.values ?? {}, plugin.endpointOptions)
      if (!plugin.update) throw notImplemented('update: attachments of this network plugin cannot be changed')
      return { result: await plugin.update(request) }
    },
    async trace(request) {
      checkAttachment(request)
      checkTrace(request)
      if (!plugin.trace) throw notImplemented('trace: this network plugin cannot tell what becomes of a packet')
      return await plugin.trace(request)
    },
    async check(request) {
      checkAttachment(request)
      await plugin.check(request)
      return {}
    },
    async status() {
      await plugin.status()
      return {}
    },
    async gc({ networkId, validAttachments, dryRun }) {
      checkNetworkId(networkId)
      return { removed: await plugin.gc(networkId, validAttachments, { dryRun }) }
    },
  })
}

/** The inverse: somebody's plugin process as a {@link NetworkPlugin}. */
export function networkPluginOver(
  client: Client<typeof NetworkPluginServiceDefinition>,
  close: () => Promise<void> = async () => {},
): NetworkPlugin {
  return {
    createNetwork: async network => present((await client.createNetwork({ network })).network, 'network'),
    removeNetwork: async networkId => void (await client.removeNetwork({ networkId })),
    listNetworks: async () => (await client.listNetworks({})).networks,
    add: async request => present((await client.add(request)).result, 'result'),
    del: async request => void (await client.del(request)),
    update: async request => present((await client.update(request)).result, 'result'),
    trace: request => client.trace(request),
    check: async request => void (await client.check(request)),
    status: async () => void (await client.status({})),
    gc: async (networkId, validAttachments, { dryRun = false } = {}) =>
      (await client.gc({ networkId, validAttachments, dryRun })).removed,
    close,
  }
}

function present<T>(value: T | undefined, what: string): T {
  if (value === undefined) throw internal(`the network plugin answered without a ${what}`)
  return value
}
