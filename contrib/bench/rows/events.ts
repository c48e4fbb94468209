/** Many who listen to events, and health checks that run each second. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Contestant, Group, Row } from '../row.ts'
import { DockerApi } from '../stage/docker-api.ts'
import type { DockerSide } from '../stage/docker-side.ts'
import { busybox } from '../stage/images.ts'
import type { Stage } from '../stage/stage.ts'

const subject = 'events-subject'

export const events: Group = {
  id: 'events',
  title: 'Events and health checks',
  async open(stage, scope) {
    const sides = await stage.freshDockers(scope, 'gantry', 'dockerd')
    for (const side of sides) await side.command('create', '--name', subject, busybox, 'true')
    return [delivery(sides, stage, scope), health(sides, stage)]
  },
}

/** Every subscriber gets every event; the time is that from the first request to the last line. */
function delivery(sides: readonly DockerSide[], stage: Stage, scope: AsyncDisposableStack): Row {
  const subscribers = stage.small ? 200 : 10_000
  const changes = stage.small ? 20 : 100
  const contestants = sides.map((side): Contestant => {
    const audience = scope.use(new Audience(side))
    return {
      ...{ name: side.name, side },
      prepare: () => audience.fill(subscribers),
      work: async () => {
        const everything = audience.expect(subscribers * changes)
        for (let change = 0; change < changes; change++) await audience.change()
        await everything
        return undefined
      },
      // Descriptors are few: one side's subscribers at a time.
      tidy: async () => audience.leave(),
    }
  })
  const name = `${changes} events to each of ${subscribers} subscribers`
  return { name, rounds: 3, warmUps: 0, limitMs: 180_000, contestants }
}

/** Who listens, and what there is to hear: a container that is renamed. */
class Audience implements Disposable {
  readonly #side: DockerSide
  readonly #asking: DockerApi
  #listening: DockerApi
  #subscribers = 0
  #heard = 0
  #changes = 0
  #wanted = Number.POSITIVE_INFINITY
  #reached = Promise.withResolvers<void>()

  constructor(side: DockerSide) {
    this.#side = side
    this.#asking = new DockerApi(side.socket)
    this.#listening = new DockerApi(side.socket, Number.POSITIVE_INFINITY)
  }

  leave(): void {
    this.#listening[Symbol.dispose]()
    this.#listening = new DockerApi(this.#side.socket, Number.POSITIVE_INFINITY)
    this.#subscribers = 0
  }

  async fill(count: number): Promise<void> {
    const filters = encodeURIComponent(JSON.stringify({ event: ['rename'] }))
    // A few at a time: a socket's backlog is short.
    const batch = 64
    while (this.#subscribers < count) {
      const joining = Math.min(batch, count - this.#subscribers)
      const answers = await Promise.all(
        Array.from({ length: joining }, () => this.#listening.open('GET', `/events?filters=${filters}`)),
      )
      for (const answer of answers) answer.on('data', (chunk: Buffer) => this.#hear(chunk)).on('error', () => {})
      this.#subscribers += joining
    }
  }

  /** Resolves with so many more events heard, all subscribers together. */
  expect(count: number): Promise<void> {
    this.#heard = 0
    this.#wanted = count
    this.#reached = Promise.withResolvers()
    return this.#reached.promise
  }

  async change(): Promise<void> {
    const [from, to] = this.#changes++ % 2 === 0 ? [subject, `${subject}-2`] : [`${subject}-2`, subject]
    await this.#asking.call('POST', `/containers/${from}/rename?name=${to}`)
  }

  /** An event is a line. */
  #hear(chunk: Buffer): void {
    for (let at = chunk.indexOf(10); at !== -1; at = chunk.indexOf(10, at + 1)) this.#heard++
    if (this.#heard >= this.#wanted) this.#reached.resolve()
  }

  [Symbol.dispose](): void {
    this.#listening[Symbol.dispose]()
    this.#asking[Symbol.dispose]()
  }
}

function health(sides: readonly DockerSide[], stage: Stage): Row {
  const count = stage.small ? 10 : 100
  const seconds = stage.small ? 5 : 20
  const contestants = sides.map((side): Contestant => {
    return {
      ...{ name: side.name },
      prepare: () => startChecked(side, count),
      work: async () => {
        const beforeMs = side.account.cpuMs()
        await sleep(seconds * 1000)
        return (side.account.cpuMs() - beforeMs) / (seconds * 10)
      },
      // Those of the other side are not to run meanwhile.
      tidy: () => side.command('rm', '--force', ...checked(count)),
    }
  })
  const name = `health checks of ${count} containers each second, the checks themselves included`
  return { name, unit: '% of a core', rounds: 3, warmUps: 0, limitMs: 180_000, budget: { atMost: 10 }, contestants }
}

const checked = (count: number) => Array.from({ length: count }, (_, at) => `checked-${at}`)

async function startChecked(side: DockerSide, count: number): Promise<void> {
  using api = new DockerApi(side.socket)
  const config = {
    ...{ Image: busybox, Cmd: ['sleep', '1000000'], HostConfig: { NetworkMode: 'none' } },
    Healthcheck: { Test: ['CMD', 'true'], Interval: 1e9, Timeout: 30e9 },
  }
  for (const name of checked(count)) {
    await api.call('POST', `/containers/create?name=${name}`, config)
    await api.call('POST', `/containers/${name}/start`)
  }
  await sleep(2000)
}
