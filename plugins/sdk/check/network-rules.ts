/** The rules for network plugins, against an address: those of the suite that ours run. */
import { NetworkPluginServiceDefinition } from '#api/gen/gantry/network/v1/network.ts'
import { connect, createClient } from '#api/rpc/client.ts'
import { networkPluginOver } from '../network-service.ts'
import { networkChecks, Subject } from '../network-suite.ts'
import type { Rule } from './rule.ts'

/** `ownNamespace`: its containers have a network namespace of their own (not so for one like `host`). */
export function networkRules(address: string, ownNamespace: boolean): Rule[] {
  const open = async () => {
    const channel = connect(address)
    return networkPluginOver(createClient(NetworkPluginServiceDefinition, channel), async () => channel.close())
  }
  return Object.entries(networkChecks).map(([text, check]) => ({
    text,
    async check() {
      await using subject = new Subject({ open, ownNamespace })
      await check(subject, await subject.plugin())
    },
  }))
}

/** How many networks it has: the checks are for one that has none. */
export async function countNetworks(address: string): Promise<number> {
  using channel = connect(address)
  return (await createClient(NetworkPluginServiceDefinition, channel).listNetworks({})).networks.length
}
