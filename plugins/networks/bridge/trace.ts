/**
 * Sends one packet from a container and tells what became of it: the routes that are taken, the neighbour that is asked, each rule
 * and policy of the host's packet filter (whoever's) that said something about it, and what the container gets to hear.
 */
import { failedPrecondition, messageOf } from '#api/errors/errors.ts'
import { isSysError, spawnDetached } from '#api/sys/sys.ts'
import { NFPROTO_BRIDGE } from '#sdk/iptables-wrapper/nftables/messages.ts'
import { deleteTable } from '#sdk/iptables-wrapper/nftables/nfnetlink.ts'
import { hasNft, listRules, runNft } from '#sdk/iptables-wrapper/nftables/run-nft.ts'
import { type TraceEvent, watchTrace } from '#sdk/iptables-wrapper/nftables/trace.ts'
import type { TraceRequest, TraceResponse, TraceStep } from '#sdk/network.ts'
import { familyOf } from '#sdk/network-addresses.ts'
import { chosenRoute, neighborState } from '#sdk/rtnetlink/lookups.ts'
import { listLinks } from '#sdk/rtnetlink/rtnetlink.ts'
import type { AttachmentRow } from './ledger.ts'

/** For an answer to the packet. */
const answerSeconds = 2
/** What the kernel has still to tell of it by then. */
const settleMs = 100

type Target = Pick<TraceRequest, 'destination' | 'protocol' | 'port'>

/** FAILED_PRECONDITION: there is no nft, or the container has no address of the destination's family. */
export async function trace(row: AttachmentRow, target: Target, instance: string): Promise<TraceResponse> {
  if (!hasNft()) throw failedPrecondition('trace: needs nft(8), which this host has not')
  const own = row.addresses.find(({ address }) => familyOf(address) === familyOf(target.destination))
  if (own === undefined)
    throw failedPrecondition(`trace: the container has no IPv${familyOf(target.destination)} address on this network`)
  const inside = await routeStep('container', target.destination, row.netnsPath)
  const outside = await routeStep('host', target.destination)
  const { events, outcome } = await observed(row, { ...target, source: own.address, table: `gantry-trace-${instance}` })
  const neighbour = await neighbourStep(target.destination, row.netnsPath)
  const steps = [
    inside,
    ...neighbour,
    ...(await eventSteps(events, target)),
    outside,
    step('probe', 'container', outcome),
  ]
  return { steps, outcome: conclusion(steps, events, outcome) }
}

function step(kind: string, place: string, text: string): TraceStep {
  return { kind, place, text }
}

async function routeStep(place: string, destination: string, netns?: string): Promise<TraceStep> {
  const links = await listLinks({ netns })
  const text = await chosenRoute(destination, { netns }).then(
    ({ gateway, link, source }) => {
      const name = links.find(({ index }) => index === link)?.name ?? 'no link'
      return `to ${destination}${gateway ? ` via ${gateway}` : ''} by ${name}${source ? ` as ${source}` : ''}`
    },
    error => `none to ${destination} (${isSysError(error) ? error.code : messageOf(error)})`,
  )
  return step('route', place, text)
}

/** Whom the container asks for: the gateway, or the destination on its own link. */
async function neighbourStep(destination: string, netns: string): Promise<TraceStep[]> {
  const route = await chosenRoute(destination, { netns }).catch(() => undefined)
  if (route?.link === undefined) return []
  const next = route.gateway ?? destination
  const state = await neighborState(route.link, next, { netns })
  const known = state?.mac === undefined ? 'has not answered' : `is ${state.mac}`
  return [step('neighbour', 'container', `${next} ${known}${state ? ` (${state.states.join(', ')})` : ''}`)]
}

interface Probe extends Target {
  readonly source: string
  readonly table: string
}

/** The packet is marked for tracing where it comes into the host: at its link, if the bridge is looked at, and in its family. */
async function observed(row: AttachmentRow, probe: Probe): Promise<{ events: readonly TraceEvent[]; outcome: string }> {
  const events: TraceEvent[] = []
  using _ = watchTrace(event => {
    if (event.table !== probe.table) events.push(event)
  })
  try {
    await runNft(tracingTables(row, probe))
    const outcome = await sendProbe(row.netnsPath, probe)
    await new Promise(resolve => setTimeout(resolve, settleMs))
    return { events: firstPacket(events), outcome }
  } finally {
    for (const at of [{}, { family: NFPROTO_BRIDGE }]) await deleteTable(probe.table, at).catch(() => {})
  }
}

/**
 * What follows the first packet belongs to the connection that it opened: it begins where that packet began. (The kernel's own
 * number of a packet changes on its way through a bridge and a translation.)
 */
function firstPacket(events: readonly TraceEvent[]): readonly TraceEvent[] {
  const place = ({ family, table, chain }: TraceEvent) => `${family} ${table} ${chain}`
  const [first] = events
  if (first === undefined) return []
  const left = events.findIndex(event => place(event) !== place(first))
  const again = events.findIndex((event, i) => left > 0 && i > left && place(event) === place(first))
  return again < 0 ? events : events.slice(0, again)
}

function tracingTables({ hostLink }: AttachmentRow, { source, destination, protocol, port, table }: Probe): string {
  const ip = familyOf(destination) === 4 ? 'ip' : 'ip6'
  const match = `${ip} saddr ${source} ${ip} daddr ${destination} ${protocol} dport ${port} meta nftrace set 1`
  const chain = (rule: string) =>
    `{\n chain c {\n type filter hook prerouting priority -500; policy accept;\n ${rule}\n }\n}`
  const anew = (family: string) => [`add table ${family} ${table}`, `delete table ${family} ${table}`]
  return [
    ...[...anew('inet'), `table inet ${table} ${chain(match)}`],
    ...[...anew('bridge'), `table bridge ${table} ${chain(`iifname "${hostLink}" ${match}`)}`, ''],
  ].join('\n')
}

/** From inside, by bash's own sockets: what is sent must be a packet like any other of the container's. */
async function sendProbe(netns: string, { destination, protocol, port }: Probe): Promise<string> {
  const script = 'exec 3<>"/dev/$0/$1/$2" && { [ "$0" = tcp ] || echo >&3; }'
  const argv = ['nsenter', `--net=${netns}`, 'timeout', String(answerSeconds), 'bash', '-c', script]
  const env = { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', LC_ALL: 'C' }
  const [program = '', ...rest] = [...argv, protocol, destination, String(port)]
  const { code, stderr } = await spawnDetached({ argv: [`/usr/bin/${program}`, ...rest], env, cwd: '/' })
  if (code === 0) return protocol === 'tcp' ? 'connected' : 'sent; udp says nothing about what became of it'
  if (code === 124) return `no answer in ${answerSeconds} s`
  const reason = stderr.toString().trim().split('\n').at(-1)?.split(': ').at(-1)
  return reason?.toLowerCase() ?? `exit code ${code}`
}

/** Only what says something: the rules that fit, and policies. */
async function eventSteps(events: readonly TraceEvent[], target: Target): Promise<TraceStep[]> {
  const texts = new Map<string, ReadonlyMap<number, string>>()
  for (const { family, table } of events) {
    const name = `${family} ${table}`
    if (!texts.has(name)) texts.set(name, await listRules(family, table))
  }
  let going = { address: target.destination, port: target.port }
  return events.flatMap(({ family, table, chain, handle, verdict, destination }) => {
    const place = `${family} ${table} ${chain}`
    const moved = destination && (destination.address !== going.address || destination.port !== going.port)
    if (moved) going = destination
    const translation = moved ? [step('translation', place, `now to ${going.address} port ${going.port}`)] : []
    if (handle === 0) return translation
    if (handle === undefined) return [...translation, step('policy', place, verdict)]
    const text = texts.get(`${family} ${table}`)?.get(handle) ?? `rule ${handle}`
    return [...translation, step('rule', place, `${text} -> ${verdict}`)]
  })
}

function conclusion(steps: readonly TraceStep[], events: readonly TraceEvent[], outcome: string): string {
  if (events.some(({ verdict }) => verdict === 'drop')) {
    const dropping = steps.find(({ kind, text }) => kind !== 'probe' && /(-> |^)drop$/.test(text))
    return `dropped by ${dropping?.place}: ${dropping?.text.replace(/ -> drop$/, '')}`
  }
  if (steps[0]?.text.startsWith('none')) return 'not sent: the container has no route there'
  if (events.length === 0) return `not seen by the host's packet filter: ${outcome}`
  return `let through by the host: ${outcome}`
}
