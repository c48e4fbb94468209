/**
 * The macvlan network plugin: containers with a MAC of their own directly on a wire of the host, as machines beside it. The
 * subnet is the wire's; addresses are given out of it (or of a range, since others live there too). The kernel passes nothing
 * between a link and its own macvlan links: the host itself does not reach these containers.
 *
 * `options.ts` what a network's creator sets; `records.ts` what was handed out, durably; `allocation.ts` how it is chosen;
 * `parent.ts`, `endpoint.ts` the links; `macvlan-networks.ts` both lives.
 */
import { join } from 'node:path'
import { openStore } from '#api/store/store.ts'
import { defineNetwork } from '#sdk/define-network.ts'
import { MacvlanNetworks } from './macvlan-networks.ts'
import { recordsIn } from './records.ts'

export const macvlan = defineNetwork({
  id: 'macvlan',
  version: '0.1.0',
  capabilities: ['mac', 'static-address', 'ipv6', 'check', 'gc'],
  create: async ({ root, log }) => new MacvlanNetworks({ records: recordsIn(openStore(join(root, 'ledger'))), log }),
})
