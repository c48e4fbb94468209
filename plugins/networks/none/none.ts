/** The none network plugin: a namespace with loopback alone, which its maker has brought up already. */
import { join } from 'node:path'
import { invalidArgument, notFound } from '#api/errors/errors.ts'
import { openStore } from '#api/store/store.ts'
import { isSysError } from '#api/sys/sys.ts'
import { defineNetwork } from '#sdk/define-network.ts'
import type { AddRequest, Result } from '#sdk/network.ts'
import { PassiveNetwork } from '#sdk/passive-network.ts'
import { raiseLink } from '#sdk/rtnetlink/rtnetlink.ts'

export const none = defineNetwork({
  id: 'none',
  version: '0.1.0',
  create: async ({ root }) => new PassiveNetwork({ store: openStore(join(root, 'ledger')), check, describe }),
})

function check(request: AddRequest): void {
  if (request.ports.length > 0) throw invalidArgument('ports: a container without a network cannot publish any')
  if (request.addresses.length > 0) throw invalidArgument('addresses: a container without a network has only 127.0.0.1')
}

async function describe({ netnsPath }: AddRequest): Promise<Result> {
  const lo = await raiseLink('lo', { netns: netnsPath }).catch(cause => {
    if (isSysError(cause) && ['ENOENT', 'EINVAL'].includes(cause.code))
      throw notFound(`no network namespace at "${netnsPath}" (${cause.code})`, { cause })
    throw cause
  })
  return {
    interfaces: [{ name: 'lo', mac: lo.mac, mtu: lo.mtu, sandbox: netnsPath, socketPath: '', pciId: '' }],
    ips: [{ address: '127.0.0.1/8', gateway: '', interface: 0 }],
    routes: [],
    ports: [],
  }
}
