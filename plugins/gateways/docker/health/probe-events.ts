/**
 * `exec_create`, `exec_start` and `exec_die` of health probes, as Docker tells them. The probes are the shims' own: only
 * while somebody listens for such events are the shims asked to tell of them, past the core and past the journal.
 */
import { randomBytes } from 'node:crypto'
import { messageOf } from '#api/errors/errors.ts'
import type { Health } from '#api/gen/gantry/health/v1/health.ts'
import { followHealth } from '#api/health/health-socket.ts'
import { containerActor } from '../containers/actor.ts'
import type { ContainerStore, Found } from '../containers/store.ts'
import type { CoreEvent, CoreEvents } from '../core-client/core-events.ts'
import type { Engine } from '../engine/engine.ts'
import type { EngineEvent } from '../engine/events.ts'
import { parseNetworkProbe } from './network-probe.ts'
import { probeCommand } from './probe.ts'

export interface ProbeEventsParts {
  engine: Pick<Engine, 'events' | 'log'>
  store: ContainerStore
  events: CoreEvents
}

interface Followed {
  found: Found
  connection: Disposable
}

/** Exit code of a process that was killed for taking too long. */
const killedCode = 137

export class ProbeEvents implements Disposable {
  readonly #parts: ProbeEventsParts
  readonly #followed = new Map<string, Followed>()
  #isWanted = false

  constructor(parts: ProbeEventsParts) {
    this.#parts = parts
    parts.engine.events.onDemand(isWanted => this.#demand(isWanted))
    parts.events.listen(
      event => this.#take(event),
      () => void this.#followAll(),
    )
  }

  #demand(isWanted: boolean): void {
    this.#isWanted = isWanted
    if (isWanted) void this.#followAll()
    else this.#leaveAll()
  }

  #take({ kind, containerId }: CoreEvent): void {
    const isNews = kind === 'task-start' || (kind === 'container-update' && this.#followed.has(containerId))
    if (this.#isWanted && isNews) void this.#look(() => this.#followOne(containerId))
  }

  #followAll(): Promise<void> {
    if (!this.#isWanted) return Promise.resolve()
    return this.#look(async () => {
      for (const found of await this.#parts.store.all()) if (found.state.name === 'running') this.#follow(found)
    })
  }

  async #followOne(id: string): Promise<void> {
    const found = await this.#parts.store.peek(id)
    if (found) this.#follow(found)
  }

  async #look(follow: () => Promise<void>): Promise<void> {
    try {
      await follow()
    } catch (error) {
      this.#parts.engine.log.debug({}, `events of health probes: ${messageOf(error)}`)
    }
  }

  #follow(found: Found): void {
    const path = found.core.paths?.healthSocket ?? ''
    const isProcess = probeCommand(found.record) && !parseNetworkProbe(found.record.config.Healthcheck?.Test ?? [])
    if (!this.#isWanted || path === '' || !isProcess) return
    const { id } = found
    const known = this.#followed.get(id)
    if (known) {
      // It may have another name by now.
      known.found = found
      return
    }
    // The first message is of the past.
    let isFirst = true
    const connection = followHealth(path, {
      told: health => {
        if (!isFirst) this.#tell(id, health)
        isFirst = false
      },
      ended: () => void this.#followed.delete(id),
    })
    this.#followed.set(id, { found, connection })
  }

  #tell(id: string, { log: [probe] }: Health): void {
    const found = this.#followed.get(id)?.found
    if (!found || !probe) return
    const execID = randomBytes(32).toString('hex')
    const command = probeCommand(found.record)?.join(' ')
    const code = probe.exitCode < 0 ? killedCode : probe.exitCode
    const event = (action: string, attributes: Record<string, string> = {}): EngineEvent => ({
      type: 'container',
      action,
      actor: containerActor(found, { execID, ...attributes }),
    })
    this.#parts.engine.events.tell([
      event(`exec_create: ${command}`),
      event(`exec_start: ${command}`),
      event('exec_die', { exitCode: String(code) }),
    ])
  }

  #leaveAll(): void {
    for (const { connection } of this.#followed.values()) connection[Symbol.dispose]()
    this.#followed.clear()
  }

  [Symbol.dispose](): void {
    this.#isWanted = false
    this.#leaveAll()
  }
}
