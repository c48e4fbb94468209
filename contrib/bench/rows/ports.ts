/** HTTP through a published port, from another machine; alone, and beside hundreds of other published ports. */
import { existsSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { runCommand } from '../../../test/daemon/run-command.ts'
import type { Contestant, Group, Row } from '../row.ts'
import type { DockerSide } from '../stage/docker-side.ts'
import { busybox } from '../stage/images.ts'
import { Outside } from '../stage/outside.ts'

const wrk = '/usr/bin/wrk'
const port = 18081
const connections = 16
const firstOther = 20_000
const pageServer = fileURLToPath(new URL('../ports/page-server.ts', import.meta.url))

interface Served {
  readonly side: DockerSide
  readonly address: string
}

export const ports: Group = {
  id: 'ports',
  title: 'Published ports',
  async open(stage, scope) {
    if (!existsSync(wrk)) throw new Error(`${wrk} is not installed (wrk)`)
    const outside = scope.use(await Outside.create())
    const sides = await stage.freshDockers(scope, 'gantry', 'dockerd')
    const served: Served[] = []
    for (const side of sides) served.push({ side, address: await serve(side, outside) })
    const others = stage.small ? 50 : 500
    const seconds = stage.small ? 1 : 4
    const beside = new Publisher(others)
    const rows = (published: number) => [
      requests(served, outside, { published, seconds, beside, keepAlive: true }),
      requests(served, outside, { published, seconds, beside, keepAlive: false }),
    ]
    return [...rows(0), ...rows(others)]
  },
}

/** The host's own Node, with the host's files: both sides serve with the same program. Answers the address. */
async function serve(side: DockerSide, outside: Outside): Promise<string> {
  const program = ['chroot', '/host', process.execPath, pageServer, '80']
  const publish = ['--publish', `${port}:80`, '--volume', '/:/host:ro']
  await side.command('run', '--detach', '--name', 'server', ...publish, busybox, 'busybox', ...program)
  const address = outside.wireTo(side.host)
  const ask = outside.host.enter(['curl', '-sf', '--max-time', '2', `http://${address}:${port}/`])
  for (const deadline = Date.now() + 30_000; (await runCommand(ask)).stdout !== 'page'; await sleep(100))
    if (Date.now() > deadline) throw new Error(`${side.name}: nothing is served at ${address}:${port}`)
  return address
}

/** Publishes a range of ports of another container, once for each side. */
class Publisher {
  readonly #count: number
  readonly #done = new Set<DockerSide>()

  constructor(count: number) {
    this.#count = count
  }

  async publish(side: DockerSide): Promise<void> {
    if (this.#done.has(side)) return
    this.#done.add(side)
    const range = `${firstOther}-${firstOther + this.#count - 1}`
    await side.command('run', '--detach', '--publish', `${range}:${range}`, busybox, 'sleep', '1000000')
  }
}

interface Load {
  readonly published: number
  readonly seconds: number
  readonly beside: Publisher
  readonly keepAlive: boolean
}

function requests(served: readonly Served[], outside: Outside, load: Load): Row {
  const contestants = served.map(({ side, address }): Contestant => {
    return {
      ...{ name: side.name, side },
      prepare: async () => {
        if (load.published > 0) await load.beside.publish(side)
      },
      work: () => rate(outside, `http://${address}:${port}/`, load),
    }
  })
  const what = load.keepAlive ? `HTTP on ${connections} kept connections` : 'HTTP, a new connection each'
  const beside = load.published === 0 ? 'no other port published' : `${load.published} others published`
  const limits = { rounds: 5, warmUps: 1, limitMs: 180_000 }
  return { name: `${what}, ${beside}`, unit: '/s', better: 'more', ...limits, budget: { times: 1 }, contestants }
}

/** Answers in a second. Throws when one was an error. */
async function rate(outside: Outside, url: string, { seconds, keepAlive }: Load): Promise<number> {
  const header = keepAlive ? [] : ['--header', 'Connection: close']
  const argv = [wrk, '--threads', '1', '--connections', `${connections}`, '--duration', `${seconds}s`, ...header, url]
  const { code, stdout, stderr } = await runCommand(outside.host.enter(argv))
  const [, answers] = /^Requests\/sec:\s+([\d.]+)/m.exec(stdout) ?? []
  if (code !== 0 || answers === undefined || /Non-2xx/.test(stdout)) throw new Error(`wrk: ${stdout}${stderr}`)
  return Number(answers)
}
