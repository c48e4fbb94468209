/** `docker exec`: another process in a running container. */
import { randomBytes } from 'node:crypto'
import { join as joinPath } from 'node:path'
import { isGantryError, messageOf } from '#api/errors/errors.ts'
import { Status } from '#api/gen/containerd/types/task/task.ts'
import { publishContainerEvent } from '../containers/actor.ts'
import type { KnownContainers } from '../containers/known-containers.ts'
import type { ContainerStore } from '../containers/store.ts'
import type { CoreEvent, CoreEvents } from '../core-client/core-events.ts'
import type { Engine } from '../engine/engine.ts'
import { conflict, HttpError } from '../http/http-error.ts'
import type { Hijacked } from '../http/upgrade.ts'
import { parseDetachKeys } from '../streams/detach-keys.ts'
import { endGently, join } from '../streams/join.ts'
import { openShimStream, type ShimStream } from '../streams/shim-stream.ts'
import type { ExecWish } from './body.ts'
import { ContainerProcesses } from './container-processes.ts'
import { ExecJournal } from './exec-journal.ts'
import { execProcess } from './exec-process.ts'
import { type Exec, ExecTable } from './exec-table.ts'

/** As the core says it of a container: nobody saw it end. */
const unseenCode = 255

export interface ExecParts {
  engine: Pick<Engine, 'core' | 'events' | 'settings'>
  store: ContainerStore
  known: KnownContainers
  events: CoreEvents
}

export class Execs {
  readonly table: ExecTable
  readonly #parts: ExecParts
  readonly #processes: ContainerProcesses

  constructor(parts: ExecParts) {
    this.#parts = parts
    this.#processes = new ContainerProcesses(parts.engine.core, parts.events)
    this.table = new ExecTable(new ExecJournal(joinPath(parts.engine.settings.state, 'execs.jsonl')))
    const take = (event: CoreEvent) => {
      if (event.kind === 'exit' && event.execId !== '') this.#ended(event.containerId, event.execId, event.exitStatus)
      if (event.kind === 'container-delete') this.table.forgetOf(event.containerId)
    }
    // What ended while nobody listened is asked for.
    parts.events.listen(take, () => void Promise.all(this.table.unfinished().map(exec => this.#lookAt(exec))))
  }

  async #lookAt(exec: Exec): Promise<void> {
    const { containerId, id: execId } = exec
    try {
      const { process } = await this.#parts.engine.core.tasks.get({ containerId, execId })
      if (process?.status === Status.STOPPED) this.#ended(containerId, execId, process.exitStatus)
      else exec.running = process?.status === Status.RUNNING
    } catch (error) {
      if (isGantryError(error, 'NOT_FOUND')) this.table.ended(execId, unseenCode)
    }
  }

  #ended(containerId: string, execId: string, exitStatus: number): void {
    this.table.ended(execId, exitStatus)
    this.#parts.engine.core.tasks.deleteProcess({ containerId, execId }).catch(() => {})
  }

  /** Its id. 409 unless the container runs. Nothing is started. */
  async create(container: string, wish: ExecWish): Promise<string> {
    const id = randomBytes(32).toString('hex')
    const found = await this.#parts.store.get(container, id)
    if (found.state.name === 'paused')
      throw conflict(`Container ${found.id} is paused, unpause the container before exec`)
    if (found.state.name !== 'running') throw conflict(`container ${found.id} is not running`)
    parseDetachKeys(wish.DetachKeys)
    const known = { ...wish, containerUser: found.record.config.User }
    this.table.add({ id, containerId: found.id, wish: known, attachSocket: found.core.paths?.attachSocket ?? '' })
    publishContainerEvent(this.#parts.engine.events, found, `exec_create: ${wish.Cmd?.join(' ')}`, { execID: id })
    return id
  }

  /** 409 when it was started before, or its container has ended. */
  checkStart(exec: Exec): void {
    if (exec.wasStarted) throw conflict(`Exec ${exec.id} has already been started`)
    this.table.starting(exec)
  }

  /** Starts it with nobody attached. */
  async startDetached(exec: Exec): Promise<void> {
    try {
      await this.#record(exec)
      await this.#start(exec)
    } catch (error) {
      throw this.#failed(exec, error)
    }
  }

  /** What goes wrong is told on the connection, whose head is sent already: so does Docker. */
  async startAttached(exec: Exec, client: Hijacked): Promise<void> {
    try {
      await this.#record(exec)
      const stream = await this.#attach(exec)
      await this.#start(exec)
      const { AttachStdin, AttachStdout, AttachStderr, Tty, DetachKeys } = exec.wish
      await join(client, stream, {
        ...{ stdin: AttachStdin, endsStdin: true, stdout: AttachStdout, stderr: AttachStderr },
        detachKeys: Tty ? parseDetachKeys(DetachKeys) : undefined,
        onExit: code => this.table.ended(exec.id, code),
      })
    } catch (error) {
      const text = Buffer.from(`${this.#failed(exec, error).message}\r\n`)
      client.socket.write(exec.wish.Tty ? text : framed(text))
      endGently(client.socket)
    }
  }

  async #attach({ id: execId, containerId, attachSocket, wish }: Exec): Promise<ShimStream> {
    const { AttachStdin, AttachStdout, AttachStderr } = wish
    const path = attachSocket || (await this.#parts.store.get(containerId, execId)).core.paths?.attachSocket
    return openShimStream(path ?? '', { stdin: AttachStdin, stdout: AttachStdout, stderr: AttachStderr, replay: false })
  }

  /** Makes it known to the shim. */
  async #record({ id: execId, containerId, wish }: Exec): Promise<void> {
    const spec = execProcess(await this.#processes.of(containerId), wish)
    await this.#parts.engine.core.tasks.exec({ containerId, execId, terminal: wish.Tty, spec })
  }

  async #start(exec: Exec): Promise<void> {
    const { engine, known } = this.#parts
    const { pid } = await engine.core.tasks.start({ containerId: exec.containerId, execId: exec.id })
    this.table.running(exec, pid)
    exec.started.resolve()
    const container = await known.find(exec.containerId)
    if (container)
      publishContainerEvent(engine.events, container, `exec_start: ${exec.wish.Cmd?.join(' ')}`, { execID: exec.id })
  }

  #failed(exec: Exec, error: unknown): Error {
    const text = messageOf(error)
    this.table.ended(exec.id, /permission denied|is a directory/i.test(text) ? 126 : 127)
    exec.started.reject(error)
    void this.#parts.engine.core.tasks.deleteProcess({ containerId: exec.containerId, execId: exec.id }).catch(() => {})
    if (error instanceof HttpError) return error
    if (isGantryError(error, 'NOT_FOUND') && /task|container/.test(text))
      return conflict(`container ${exec.containerId} is not running`, { cause: error })
    const reason = text.replace(/^OCI runtime exec failed: /, '')
    return new HttpError(400, `OCI runtime exec failed: exec failed: unable to start container process: ${reason}`, {
      cause: error,
    })
  }

  /** Waits for one that is just being started. */
  async resize(exec: Exec, height: number, width: number): Promise<void> {
    if (exec.exitCode !== undefined) throw conflict(`exec ${exec.id} is not running`)
    await exec.started.promise
    await this.#parts.engine.core.tasks.resizePty({ containerId: exec.containerId, execId: exec.id, height, width })
  }
}

/** A piece of standard error in the multiplexed form. */
function framed(text: Buffer): Buffer {
  const header = Buffer.alloc(8)
  header[0] = 2
  header.writeUInt32BE(text.length, 4)
  return Buffer.concat([header, text])
}
