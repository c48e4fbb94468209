/**
 * Networks beside Debian's dockerd 20.10 (iptables, userland proxy), rounds interleaved in one run, everything in network
 * namespaces of its own: `npm run bench -- --rows networks`. Nothing here passes or fails; a missed budget is bold.
 *
 *   endpoint, network     over our plugin's socket, and over dockerd's API
 *   HTTP, new connections by a client in another namespace, one connection for each page
 *   16,000 UDP ports      dockerd: a range of 32, times 500, because each of its ports is two processes
 *
 * GANTRY_BENCH_ROUNDS: default 30.
 */
import { execFileSync, spawnSync } from 'node:child_process'
import { loadavg } from 'node:os'
import { fileURLToPath } from 'node:url'
import { World } from '../../test/integration/networks-world.ts'
import { Docker, lackingForDocker } from './networks/docker.ts'
import { Ours } from './networks/ours.ts'
import type { Side } from './networks/side.ts'

const rounds = Number(process.env.GANTRY_BENCH_ROUNDS ?? 30)
const marker = 'GANTRY_BENCH_PRIVATE_HOST'
const client = fileURLToPath(new URL('networks/client.ts', import.meta.url))
const manyPorts = 16_000
/** How many ports dockerd is really given. */
const fewPorts = 32
const connections = 300

interface Row {
  readonly what: string
  readonly unit: string
  readonly ours: readonly number[]
  readonly peer: readonly number[]
  /** At most. */
  readonly budget?: number
}

async function main(): Promise<void> {
  await using world = await World.create()
  const ours = await Ours.start(world)
  const lacking = lackingForDocker()
  if (lacking.length > 0) console.log(`dockerd: left out, not installed: ${lacking.join(', ')}`)
  const docker = lacking.length > 0 ? undefined : await Docker.start(world)
  try {
    const rows = [
      ...(await lives(ours, docker)),
      ...(await ranges(ours, docker)),
      ...(await ports(ours)),
      ...(await pages(ours, docker)),
    ]
    console.log(table(rows))
  } finally {
    ours.stop()
    await docker?.[Symbol.asyncDispose]()
  }
}

async function lives(ours: Ours, docker: Docker | undefined): Promise<Row[]> {
  const [endpoints, networks] = [new Times(), new Times()]
  for (let round = -2; round < rounds; round++)
    for (const side of [ours, ...(docker ? [docker] : [])] as Side[]) {
      const { addMs, delMs } = await side.endpoint()
      const { createMs, removeMs } = await side.network()
      if (round < 0) continue
      endpoints.note(side.name, { addMs, delMs })
      networks.note(side.name, { createMs, removeMs, bothMs: createMs + removeMs })
    }
  return [
    endpoints.row('endpoint: add', 'addMs', 5),
    endpoints.row('endpoint: delete', 'delMs', 2),
    networks.row('network: create', 'createMs'),
    networks.row('network: remove', 'removeMs'),
    networks.row('network: create and remove', 'bothMs'),
  ]
}

async function ranges(ours: Ours, docker: Docker | undefined): Promise<Row[]> {
  const times = new Times()
  for (let round = -1; round < Math.min(rounds, 5); round++) {
    const { openMs, cpuMs, mib } = await ours.range(manyPorts)
    if (round >= 0) times.note(ours.name, { openMs, cpuMs, mib })
    const peer = round >= 0 ? await docker?.range(fewPorts) : undefined
    const factor = manyPorts / fewPorts
    if (peer) times.note('dockerd', { openMs: peer.openMs * factor, mib: peer.mib * factor })
  }
  return [
    times.row('16,000 UDP ports of one container', 'openMs', 300),
    times.row('  CPU of our plugin for it', 'cpuMs'),
    { ...times.row('  memory', 'mib', 5), unit: 'MiB' },
  ]
}

/** One port more, beside ever more of them. */
async function ports(ours: Ours): Promise<Row[]> {
  const rows: Row[] = []
  for (const existing of [0, 1000, 10_000, 50_000]) {
    const times = new Times()
    await ours.otherPorts(existing)
    for (let i = -3; i < rounds; i++) {
      const tookMs = await ours.onePort()
      if (i >= 0) times.note(ours.name, { tookMs })
    }
    rows.push(times.row(`one port more beside ${existing}`, 'tookMs', 2))
  }
  return rows
}

/** By a published port beside others: ours has 50,000 of them by now. */
async function pages(ours: Ours, docker: Docker | undefined): Promise<Row[]> {
  const rows: Row[] = []
  for (const others of [0, 500, 10_000]) {
    const times = new Times()
    for (const side of [ours, ...(docker ? [docker] : [])] as Side[]) await side.otherPorts(others)
    for (let round = -1; round < Math.min(rounds, 10); round++)
      for (const side of [ours, ...(docker ? [docker] : [])] as Side[]) {
        const { netns, host, port } = await side.serve()
        const argv = [`--net=${netns}`, process.execPath, client, host, String(port), String(connections)]
        const { medianMs, perSecond } = JSON.parse(execFileSync('nsenter', argv, { encoding: 'utf8' }))
        if (round >= 0) times.note(side.name, { medianMs, perSecond })
      }
    rows.push(times.row(`a page by a new connection, ${others} other ports`, 'medianMs'))
    rows.push({ ...times.row(`  new connections in a second`, 'perSecond'), unit: '/s' })
  }
  return rows
}

class Times {
  readonly #times = new Map<string, number[]>()

  note(side: string, figures: Readonly<Record<string, number>>): void {
    for (const [name, value] of Object.entries(figures)) {
      const key = `${side} ${name}`
      this.#times.set(key, [...(this.#times.get(key) ?? []), value])
    }
  }

  row(what: string, name: string, budget?: number): Row {
    const of = (side: string) => this.#times.get(`${side} ${name}`) ?? []
    return { what, unit: 'ms', ours: of('gantry'), peer: of('dockerd'), ...(budget === undefined ? {} : { budget }) }
  }
}

function table(rows: readonly Row[]): string {
  const load = loadavg()[0]?.toFixed(1)
  return [
    `networks: ${rounds} rounds, interleaved; Node ${process.version}; load ${load}`,
    '',
    '| what | unit | gantry median | best | dockerd 20.10 median | best | ratio | budget |',
    '|---|---|---|---|---|---|---|---|',
    ...rows.map(line),
  ].join('\n')
}

function line({ what, unit, ours, peer, budget }: Row): string {
  const [own, theirs] = [median(ours), median(peer)]
  const ratio = peer.length === 0 ? '' : (unit === '/s' ? own / theirs : theirs / own).toFixed(1)
  const said = budget === undefined ? '' : own > budget ? `**${budget}: missed**` : String(budget)
  const cells = [
    what,
    unit,
    figure(own),
    figure(best(ours, unit)),
    figure(theirs),
    figure(best(peer, unit)),
    ratio,
    said,
  ]
  return `| ${cells.join(' | ')} |`
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1] ?? Number.NaN
}

function best(values: readonly number[], unit: string): number {
  return values.length === 0 ? Number.NaN : unit === '/s' ? Math.max(...values) : Math.min(...values)
}

function figure(value: number): string {
  return Number.isNaN(value) ? '' : value >= 100 ? value.toFixed(0) : value.toFixed(2)
}

if (process.env[marker] === '1') await main()
else {
  const env = { ...process.env, [marker]: '1' }
  const argv = ['--net', '--mount', '--propagation', 'slave', process.execPath, fileURLToPath(import.meta.url)]
  process.exitCode = spawnSync('unshare', argv, { env, stdio: 'inherit' }).status ?? 1
}
