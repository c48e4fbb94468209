/** The redirect of nftables/loopback-redirect.ts by iptables, where the kernel or the host has no nftables. */
import type { LoopbackRedirect } from '../nftables/loopback-redirect.ts'
import { restoreRules } from './run-iptables.ts'

const chain = 'GANTRY-REDIRECT'

/** Once for each namespace: a repeat rewrites the chain, and a second jump finds nothing left to do. */
export async function redirectByIptables(netns: string, { address, port, to }: LoopbackRedirect): Promise<void> {
  const rules = (['udp', 'tcp'] as const).map(
    protocol => `-A ${chain} -d ${address}/32 -p ${protocol} --dport ${port} -j DNAT --to-destination ${address}:${to}`,
  )
  const lines = ['*nat', `:${chain} - [0:0]`, ...rules, `-A OUTPUT -j ${chain}`, 'COMMIT', '']
  await restoreRules(4, lines.join('\n'), netns)
}
