/**
 * The host network plugin: a container on it has no network namespace of its own. There is nothing to make; what it
 * answers tells tools which interfaces and addresses the container shares.
 */
import { join } from 'node:path'
import { invalidArgument } from '#api/errors/errors.ts'
import { openStore } from '#api/store/store.ts'
import { defineNetwork } from '#sdk/define-network.ts'
import type { AddRequest, Result } from '#sdk/network.ts'
import { formatSubnet } from '#sdk/network-addresses.ts'
import { PassiveNetwork } from '#sdk/passive-network.ts'
import { listRoutes } from '#sdk/rtnetlink/routes.ts'
import { listAddresses, listLinks } from '#sdk/rtnetlink/rtnetlink.ts'

export const host = defineNetwork({
  id: 'host',
  version: '0.1.0',
  create: async ({ root }) => new PassiveNetwork({ store: openStore(join(root, 'ledger')), check, describe }),
})

function check(request: AddRequest): void {
  if (request.netnsPath !== '')
    throw invalidArgument(
      `netns_path "${request.netnsPath}": a container on the host network has no namespace of its own`,
    )
  if (request.ports.length > 0)
    throw invalidArgument("ports: on the host network a container opens the host's ports itself, publish none")
}

async function describe(): Promise<Result> {
  const [links, addresses, routes] = await Promise.all([listLinks(), listAddresses(), listRoutes()])
  return {
    interfaces: links.map(({ name, mac, mtu }) => ({ name, mac, mtu, sandbox: '', socketPath: '', pciId: '' })),
    ips: addresses.map(({ index, address, prefix }) => ({
      address: `${address}/${prefix}`,
      gateway: '',
      interface: links.findIndex(link => link.index === index),
    })),
    routes: routes
      .filter(({ destination, gateway }) => destination.prefix === 0 && gateway !== undefined)
      .map(({ destination, gateway, metric }) => ({
        dst: formatSubnet(destination),
        gw: gateway ?? '',
        mtu: 0,
        advmss: 0,
        priority: metric,
        table: 0,
        scope: 0,
      })),
    ports: [],
  }
}
