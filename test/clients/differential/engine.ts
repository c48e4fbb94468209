/** An engine under test, Docker's or ours: the ids that it gave to what both were asked to make. */
import { Agent } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import { patience } from '../../daemon/patience.ts'
import { type Answer, type Call, call } from './engine-call.ts'

const settleMs = 10_000 * patience

export class Engine implements Disposable {
  readonly name: string
  readonly socket: string
  /** By what the requests call it: `c1`, `e2`. */
  readonly ids = new Map<string, string>()
  readonly #agent = new Agent({ keepAlive: true })

  constructor(name: string, socket: string) {
    this.name = name
    this.socket = socket
  }

  /** `{id:c1}` and `{short:c1}` in the path become this engine's ids of it. */
  async call(wish: Call): Promise<Answer> {
    return call(this.socket, this.#agent, { ...wish, path: wish.path.replace(/\{(id|short):(\w+)\}/g, this.#idOf) })
  }

  readonly #idOf = (_: string, form: string, name: string): string => {
    const id = this.ids.get(name) ?? 'f'.repeat(64)
    return form === 'short' ? id.slice(0, 12) : id
  }

  async json(path: string): Promise<Record<string, unknown> | undefined> {
    const { status, body } = await this.call({ method: 'GET', path })
    return status === 200 ? JSON.parse(body.toString()) : undefined
  }

  /** A container whose command ends has ended, and one that goes with its end is gone. Answers its state when it does not. */
  async settle(container: string): Promise<string> {
    let state = ''
    if (/[%~]/.test(container)) return ''
    for (const deadline = Date.now() + settleMs; Date.now() < deadline; await sleep(20)) {
      const found = (await this.json(`/v1.41/containers/${container}/json`)) as Settling | undefined
      if (found === undefined) return ''
      const { Running, Paused } = found.State
      if (Running && (Paused || found.Path !== 'sh')) return ''
      if (!Running && !found.HostConfig.AutoRemove) return ''
      if (found.State.Status === 'created') return ''
      state = JSON.stringify(found.State)
    }
    return state
  }

  [Symbol.dispose](): void {
    this.#agent.destroy()
  }
}

interface Settling {
  Path: string
  State: { Running: boolean; Paused: boolean; Status: string }
  HostConfig: { AutoRemove: boolean }
}
