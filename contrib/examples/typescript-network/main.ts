/** A network plugin: its containers have their loopback, and nothing else. Records and repeats are the SDK's business. */
import { join } from 'node:path'
import { invalidArgument, notFound } from '#api/errors/errors.ts'
import { openStore } from '#api/store/store.ts'
import { defineNetwork } from '#sdk/define-network.ts'
import type { AddRequest, Result } from '#sdk/network.ts'
import { PassiveNetwork } from '#sdk/passive-network.ts'
import { raiseLink } from '#sdk/rtnetlink/rtnetlink.ts'
import { serve } from '#sdk/serve.ts'

/** What this network cannot give is refused, never left out in silence. */
function check(request: AddRequest): void {
  if (request.ports.length > 0) throw invalidArgument('ports: this network publishes none')
  if (request.addresses.length > 0) throw invalidArgument('addresses: this network has only 127.0.0.1')
}

async function describe({ netnsPath }: AddRequest): Promise<Result> {
  const { mac, mtu } = await raiseLink('lo', { netns: netnsPath }).catch(cause => {
    throw notFound(`no network namespace at "${netnsPath}"`, { cause })
  })
  return {
    interfaces: [{ name: 'lo', mac, mtu, sandbox: netnsPath, socketPath: '', pciId: '' }],
    ips: [{ address: '127.0.0.1/8', gateway: '', interface: 0 }],
    routes: [],
    ports: [],
  }
}

await serve(
  defineNetwork({
    id: 'tsnet',
    version: '1.0.0',
    create: async ({ root }) => new PassiveNetwork({ store: openStore(join(root, 'ledger')), check, describe }),
  }),
)
