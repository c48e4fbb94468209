/** The verbs that change what a container does: start, stop, kill, restart, pause, remove. */
import { setTimeout as sleep } from 'node:timers/promises'
import { isGantryError, messageOf } from '#api/errors/errors.ts'
import type { Descriptor } from '#api/gen/containerd/types/descriptor.ts'
import { Status } from '#api/gen/containerd/types/task/task.ts'
import type { Engine } from '../engine/engine.ts'
import { conflict, HttpError, notFound, notModified, serverError } from '../http/http-error.ts'
import { publishContainerEvent } from './actor.ts'
import type { AttachHub } from './attach-hub.ts'
import { checkpointOf, removeCheckpoints } from './checkpoints.ts'
import { checkEndpoints, modeOf } from './create/networks.ts'
import { encodeRecord, type Failure } from './record.ts'
import { parseSignal, SIGKILL, SIGTERM } from './signals.ts'
import { isActive, isRunning } from './state.ts'
import type { ContainerStore, Found } from './store.ts'
import type { VolumeMounts } from './volume-mounts.ts'

/** Docker's. */
const defaultStopSeconds = 10
/** How long a killed process may take to be gone. */
const killMs = 10_000

export interface LifecycleParts {
  engine: Pick<Engine, 'core' | 'events' | 'log'>
  store: ContainerStore
  hub: AttachHub
  volumes: VolumeMounts
}

export interface StopOptions {
  signal?: string
  /** Seconds until SIGKILL; negative: never. Undefined: the container's own. */
  timeout?: number | undefined
}

export class Lifecycle {
  readonly #parts: LifecycleParts
  readonly #core: Engine['core']
  readonly #volumes: VolumeMounts

  constructor(parts: LifecycleParts) {
    this.#parts = parts
    this.#core = parts.engine.core
    this.#volumes = parts.volumes
  }

  /** 304 when it runs. What cannot be executed is 400 with the runtime's words, by which the CLI chooses its exit code. */
  async start(found: Found, checkpoint = ''): Promise<void> {
    if (found.state.name === 'paused') throw conflict('cannot start a paused container, try unpause instead')
    if (isRunning(found.state)) throw notModified()
    const from = checkpoint === '' ? undefined : checkpointOf(found, checkpoint)
    await this.#volumes.around(found, () => this.#startTask(found, from))
    if (found.record.failure) await this.#note(await this.#parts.store.get(found.id), undefined)
  }

  async #startTask(found: Found, checkpoint: Descriptor | undefined): Promise<void> {
    const { id } = found
    try {
      checkEndpoints(found.record.endpoints)
      await this.#createTask(found, checkpoint)
      await this.#parts.hub.created(id)
      await this.#core.tasks.start({ containerId: id })
    } catch (error) {
      await this.#core.tasks.delete({ containerId: id }).catch(() => {})
      const failure = startFailure(error)
      // Nobody else will: there is no exit that the core could see.
      if (found.record.hostConfig.AutoRemove) await this.#deleteRecord(id)
      else await this.#noteFailure(found, failure.message)
      throw failure
    }
  }

  async #noteFailure(found: Found, error: string): Promise<void> {
    // Its record may have been written anew by the mounting of volumes.
    const latest = (await this.#parts.store.peek(found.id)) ?? found
    const at = failedNetwork(error, modeOf(latest.record.hostConfig))
    await this.#note(latest, { error, exitCode: exitCodeOf(error), ...(at && { at }) }).catch(cause => {
      this.#parts.engine.log.warn({ id: found.id, err: cause }, 'why a container did not start could not be kept')
    })
  }

  async #note({ id, record }: Found, failure: Failure | undefined): Promise<void> {
    const { failure: _, ...rest } = record
    await this.#core.containers.update({ id, extensions: encodeRecord({ ...rest, ...(failure && { failure }) }) })
  }

  /** A task that was created and never started (a gateway died in between) is used; one that has stopped goes first. */
  async #createTask({ id, core }: Found, checkpoint: Descriptor | undefined): Promise<void> {
    if (core.task?.status === Status.CREATED && checkpoint === undefined) return
    if (core.task) await this.#forgetTask(id)
    const create = () => this.#core.tasks.create({ containerId: id, ...(checkpoint && { checkpoint }) })
    try {
      await create()
    } catch (error) {
      if (!isGantryError(error, 'ALREADY_EXISTS')) throw error
      await this.#forgetTask(id)
      await create()
    }
  }

  async #forgetTask(containerId: string): Promise<void> {
    await this.#core.tasks.delete({ containerId }).catch(error => {
      if (!isGantryError(error, 'NOT_FOUND')) throw error
    })
  }

  /** Resolves when it has ended; 304 when it does not run. */
  async stop(found: Found, { signal = '', timeout }: StopOptions = {}): Promise<void> {
    const { id, record } = found
    if (!isActive(found.state)) throw notModified()
    const number = signal || record.config.StopSignal ? parseSignal(signal || record.config.StopSignal) : SIGTERM
    const seconds = timeout ?? record.config.StopTimeout ?? defaultStopSeconds
    const exited = this.#exit(id)
    await this.#signal(found, number)
    const late = Symbol('late')
    const patience = seconds < 0 ? exited : sleep(seconds * 1000, late, { ref: false })
    if ((await Promise.race([exited, patience])) === late) {
      await this.#signal(found, SIGKILL)
      await exited
    }
    publishContainerEvent(this.#parts.engine.events, found, 'stop')
  }

  /** Resolves when the first process is gone, whoever took it away. */
  async #exit(containerId: string): Promise<void> {
    await this.#core.tasks.wait({ containerId }).catch(error => {
      if (!isGantryError(error, 'NOT_FOUND') && !isGantryError(error, 'UNAVAILABLE')) throw error
    })
  }

  async #signal(found: Found, signal: number): Promise<void> {
    // A frozen process takes no signal.
    if (found.state.name === 'paused') await this.#core.tasks.resume({ containerId: found.id }).catch(() => {})
    await this.#core.tasks.kill({ containerId: found.id, signal }).catch(error => {
      if (!isGantryError(error, 'NOT_FOUND')) throw error
    })
    publishContainerEvent(this.#parts.engine.events, found, 'kill', { signal: String(signal) })
  }

  /** 409 unless it runs. SIGKILL is waited for. */
  async kill(found: Found, signal: string): Promise<void> {
    const number = signal === '' ? SIGKILL : parseSignal(signal)
    if (!isActive(found.state)) throw conflict(`container ${found.id} is not running`)
    const exited = number === SIGKILL ? this.#exit(found.id) : undefined
    await this.#signal(found, number)
    if (exited) await Promise.race([exited, sleep(killMs, undefined, { ref: false })])
  }

  async restart(found: Found, options: StopOptions): Promise<void> {
    if (isActive(found.state)) await this.stop(found, options)
    await this.start(await this.#parts.store.get(found.id))
    publishContainerEvent(this.#parts.engine.events, found, 'restart')
  }

  async pause(found: Found): Promise<void> {
    if (found.state.name === 'paused') throw conflict(`container ${found.id} is already paused`)
    if (!isRunning(found.state)) throw conflict(`container ${found.id} is not running`)
    await this.#core.tasks.pause({ containerId: found.id })
  }

  async unpause(found: Found): Promise<void> {
    // 500 in every version of Docker.
    if (found.state.name !== 'paused') throw serverError(`Container ${found.id} is not paused`)
    await this.#core.tasks.resume({ containerId: found.id })
  }

  /** 409 when it runs and `force` is not given. */
  async remove(found: Found, { force, volumes }: { force: boolean; volumes: boolean }): Promise<void> {
    const { id, name, record } = found
    if (isActive(found.state)) {
      if (!force) {
        const what =
          found.state.name === 'paused'
            ? 'paused and must be unpaused first'
            : 'running: stop the container before removing or force remove'
        throw conflict(`cannot remove container "/${name}": container is ${what}`)
      }
      await this.kill(found, '')
    }
    await this.#forgetTask(id)
    await this.#deleteRecord(id)
    await removeCheckpoints(this.#parts.engine, found)
    await this.#volumes.release(found, volumes || record.hostConfig.AutoRemove)
  }

  /** Somebody may remove it at the same time, or a stopped task may just be on its way out. */
  async #deleteRecord(id: string): Promise<void> {
    for (let attempt = 0; ; attempt++) {
      try {
        await this.#core.records.delete({ id })
        return
      } catch (error) {
        if (isGantryError(error, 'NOT_FOUND')) return
        if (!isGantryError(error, 'FAILED_PRECONDITION') || attempt > 5) throw error
        await this.#forgetTask(id)
      }
    }
  }
}

/** Docker makes a container's files between its first network and the next. */
function failedNetwork(error: string, mode: string): Failure['at'] {
  const [, missing] = /^network (\S+) not found/.exec(error) ?? []
  if (missing === mode || /^(address \S+: invalid MAC|network-scoped alias)/.test(error)) return 'first network'
  return missing === undefined ? undefined : 'further network'
}

/** What shells answer: 127 for a command that is not there, 126 for one that is none; 128 for all else. */
function exitCodeOf(error: string): number {
  if (/executable file not found|no such file or directory/i.test(error)) return 127
  return /permission denied|is a directory|exec format/i.test(error) ? 126 : 128
}

/** The CLI reads these words: "executable file not found" is exit code 127, "permission denied" 126. */
function startFailure(error: unknown): Error {
  if (error instanceof HttpError) return error
  const text = messageOf(error)
  const message = `failed to create task for container: ${text}`
  const isOfTheCommand = /not found|no such file|permission denied|is a directory|exec format|not a directory/i.test(
    text,
  )
  const [, network] = /\bnetwork "([^"]*)": not found/.exec(text) ?? []
  if (network !== undefined) return notFound(`network ${network} not found`, { cause: error })
  const [, mac] = /\bmac "([^"]*)" is not a unicast address/.exec(text) ?? []
  if (mac !== undefined) return serverError(`address ${mac}: invalid MAC address`, { cause: error })
  if (isGantryError(error, 'ALREADY_EXISTS') || isGantryError(error, 'UNAVAILABLE'))
    return serverError(message, { cause: error })
  return isOfTheCommand ? new HttpError(400, message, { cause: error }) : serverError(message, { cause: error })
}
