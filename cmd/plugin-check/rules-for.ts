/** Which rules hold for a plugin, by its kind and by what it says of itself. */
import { resolve } from 'node:path'
import { failedPrecondition } from '#api/errors/errors.ts'
import { connect } from '#api/rpc/client.ts'
import { commonRules, readInfo } from '#sdk/check/common-rules.ts'
import { countNetworks, networkRules } from '#sdk/check/network-rules.ts'
import type { Rule } from '#sdk/check/rule.ts'
import { shimRules } from '#sdk/check/shim-rules.ts'
import { countSnapshots, snapshotterRules } from '#sdk/check/snapshotter-rules.ts'
import { openTenancy } from '#sdk/check/tenancy.ts'

export const checkedKinds = ['snapshotter', 'network', 'runtime'] as const
export type CheckedKind = (typeof checkedKinds)[number]

export interface CheckFlags {
  kind: CheckedKind
  snapshotter: string
  namespace?: string
  foreign?: boolean
  copies?: boolean
  rebase: boolean
  host?: boolean
}

/** Rules, and where they keep what they make; to be disposed of after the last. */
export interface RuleBook extends AsyncDisposable {
  readonly rules: readonly Rule[]
}

/**
 * `address`: of a runtime, its executable's path. FAILED_PRECONDITION: it holds something already. UNAVAILABLE: nobody serves
 * there.
 */
export async function rulesFor(address: string, flags: CheckFlags): Promise<RuleBook> {
  if (flags.kind === 'runtime') return { rules: shimRules(resolve(address)), [Symbol.asyncDispose]: async () => {} }
  await using undo = new AsyncDisposableStack()
  const channel = undo.use(connect(address))
  const info = await readInfo(channel)
  const common = flags.foreign ? [] : commonRules(channel, flags.kind)
  const own =
    flags.kind === 'network' ? await ofNetwork(address, flags) : await ofSnapshotter(undo, address, flags, info)
  const held = undo.move()
  return { rules: [...common, ...own], [Symbol.asyncDispose]: () => held.disposeAsync() }
}

async function ofNetwork(address: string, { host }: CheckFlags): Promise<Rule[]> {
  refuseUsed(address, await countNetworks(address), 'networks')
  return networkRules(address, !host)
}

async function ofSnapshotter(
  undo: AsyncDisposableStack,
  address: string,
  { snapshotter, namespace, foreign = false, copies, rebase }: CheckFlags,
  info: { capabilities: readonly string[] } | undefined,
): Promise<Rule[]> {
  const { options } = undo.use(await openTenancy(address, namespace))
  const place = { address, name: snapshotter, options }
  refuseUsed(address, await countSnapshots(place), 'snapshots')
  const rebases = rebase && (info?.capabilities.includes('rebase') ?? (foreign ? 'unknown' : true))
  return snapshotterRules(place, { foreign, rebases, sharesParents: !copies })
}

function refuseUsed(address: string, count: number, what: string): void {
  if (count === 0) return
  throw failedPrecondition(
    `${address} is in use (it holds ${count} ${what}): the checks remove what they find, so give it an empty root`,
  )
}
