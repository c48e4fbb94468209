/** Which rules hold for a plugin, by its kind and by what it says of itself. */
import { resolve } from 'node:path'
import { failedPrecondition, invalidArgument } from '#api/errors/errors.ts'
import { connect } from '#api/rpc/client.ts'
import { mediaTypes } from '#api/types/oci.ts'
import { builderRules } from '#sdk/check/builder-rules.ts'
import { commonRules, readInfo } from '#sdk/check/common-rules.ts'
import { differRules } from '#sdk/check/differ-rules.ts'
import { logSinkRules } from '#sdk/check/log-sink-rules.ts'
import { countNetworks, networkRules } from '#sdk/check/network-rules.ts'
import type { Rule } from '#sdk/check/rule.ts'
import { shimRules } from '#sdk/check/shim-rules.ts'
import { countSnapshots, snapshotterRules } from '#sdk/check/snapshotter-rules.ts'
import { openTenancy } from '#sdk/check/tenancy.ts'

export const checkedKinds = ['snapshotter', 'network', 'runtime', 'differ', 'log-sink', 'builder', 'gateway'] as const
export type CheckedKind = (typeof checkedKinds)[number]

export interface CheckFlags {
  kind: CheckedKind
  snapshotter: string
  namespace?: string
  core?: string
  mediaType?: string
  encode?: string
  image?: string
  read?: string
  foreign?: boolean
  copies?: boolean
  rebase: boolean
  host?: boolean
}

/** Rules, and where they keep what they make; to be disposed of after the last. */
export interface RuleBook extends AsyncDisposable {
  readonly rules: readonly Rule[]
}

/** What it says of itself. */
interface Said {
  readonly capabilities: readonly string[]
}

/** Whose rules are asked for, and what is to be taken away after them. */
interface Order {
  readonly address: string
  readonly flags: CheckFlags
  readonly info: Said | undefined
  readonly undo: AsyncDisposableStack
}

const rulesOf: Readonly<Record<Exclude<CheckedKind, 'runtime'>, (order: Order) => Promise<Rule[]>>> = {
  snapshotter: ofSnapshotter,
  network: ofNetwork,
  differ: ofDiffer,
  'log-sink': ofLogSink,
  builder: async ({ address }) => builderRules(address),
  // All else of it is somebody else's protocol.
  gateway: async () => [],
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
  const own = await rulesOf[flags.kind]({ address, flags, info, undo })
  const held = undo.move()
  return { rules: [...common, ...own], [Symbol.asyncDispose]: () => held.disposeAsync() }
}

async function ofNetwork({ address, flags }: Order): Promise<Rule[]> {
  refuseUsed(address, await countNetworks(address), 'networks')
  return networkRules(address, !flags.host)
}

async function ofSnapshotter({ address, flags, info, undo }: Order): Promise<Rule[]> {
  const { snapshotter, namespace, foreign = false, copies, rebase } = flags
  const { options } = undo.use(await openTenancy(address, namespace))
  const place = { address, name: snapshotter, options }
  refuseUsed(address, await countSnapshots(place), 'snapshots')
  const rebases = rebase && (info?.capabilities.includes('rebase') ?? (foreign ? 'unknown' : true))
  return snapshotterRules(place, { foreign, rebases, sharesParents: !copies })
}

async function ofDiffer({ address, flags, info, undo }: Order): Promise<Rule[]> {
  const { core = address, encode, namespace, foreign = false } = flags
  const declared = info?.capabilities.find(word => word.includes('/'))
  const mediaType = flags.mediaType ?? declared ?? mediaTypes.ociLayerGzip
  const { options } = undo.use(await openTenancy(core, namespace))
  return differRules({ address, core, options, mediaType, encode, foreign })
}

async function ofLogSink({ flags: { core, image, read, namespace = 'default' } }: Order): Promise<Rule[]> {
  if (core === undefined || image === undefined || read === undefined)
    throw invalidArgument(
      'a log sink needs --core (whose containers it reads), --image (of one to run), --read (how to see what it kept)',
    )
  return logSinkRules({ core, image, read, namespace })
}

function refuseUsed(address: string, count: number, what: string): void {
  if (count === 0) return
  throw failedPrecondition(
    `${address} is in use (it holds ${count} ${what}): the checks remove what they find, so give it an empty root`,
  )
}
