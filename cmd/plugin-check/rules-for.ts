/** Which rules hold for a plugin, by its kind and by what it says of itself. */
import { failedPrecondition } from '#api/errors/errors.ts'
import { connect } from '#api/rpc/client.ts'
import { commonRules, readInfo } from '#sdk/check/common-rules.ts'
import { countNetworks, networkRules } from '#sdk/check/network-rules.ts'
import type { Rule } from '#sdk/check/rule.ts'
import { countSnapshots, snapshotterRules } from '#sdk/check/snapshotter-rules.ts'

export interface CheckFlags {
  kind: 'snapshotter' | 'network'
  name: string
  foreign?: boolean
  copies?: boolean
  rebase: boolean
  host?: boolean
}

/** FAILED_PRECONDITION: it holds something already. UNAVAILABLE: nobody serves there. */
export async function rulesFor(address: string, flags: CheckFlags): Promise<Rule[]> {
  const channel = connect(address)
  const info = await readInfo(channel)
  await refuseUsed(address, flags)
  const common = flags.foreign ? [] : commonRules(channel, flags.kind)
  if (flags.kind === 'network') return [...common, ...networkRules(address, !flags.host)]
  const rebases = flags.rebase && (info?.capabilities.includes('rebase') ?? true)
  return [...common, ...snapshotterRules(address, flags.name, { rebases, sharesParents: !flags.copies })]
}

async function refuseUsed(address: string, { kind, name }: CheckFlags): Promise<void> {
  const count = kind === 'network' ? await countNetworks(address) : await countSnapshots(address, name)
  if (count > 0)
    throw failedPrecondition(
      `the ${kind} at ${address} is in use (it holds ${count} ${kind === 'network' ? 'networks' : 'snapshots'}): the checks remove what they find, so give it an empty root`,
    )
}
