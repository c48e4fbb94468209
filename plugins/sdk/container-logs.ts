/** Follows the output of all containers of a core, and hands it to a sink line by line. */
import { setTimeout as sleep } from 'node:timers/promises'
import { attach } from '#api/attach/attach-client.ts'
import { isGantryError, messageOf } from '#api/errors/errors.ts'
import { TaskCreate } from '#api/gen/containerd/events/task.ts'
import { EventsDefinition } from '#api/gen/containerd/services/events/v1/events.ts'
import { NamespacesDefinition } from '#api/gen/containerd/services/namespaces/v1/namespaces.ts'
import { TasksDefinition } from '#api/gen/containerd/services/tasks/v1/tasks.ts'
import { ContainersServiceDefinition } from '#api/gen/gantry/services/containers/v1/containers.ts'
import type { Logger } from '#api/log/log.ts'
import { type Channel, connect, createClient } from '#api/rpc/client.ts'
import type { LogLine, LogSink } from './define-log-sink.ts'

export interface ContainerLogsOptions {
  readonly coreAddress: string
  readonly sink: Pick<LogSink, 'write'>
  readonly log: Logger
}

/** Before asking again a core that did not answer. */
const retryMs = 1_000
/** What of a line that never ends is handed over at a time. */
const maxLineBytes = 64 * 1024
const lineFeed = 0x0a

export class ContainerLogs {
  readonly #options: ContainerLogsOptions
  readonly #channel: Channel
  readonly #stop = new AbortController()
  /** Containers that are being followed. */
  readonly #followed = new Map<string, Promise<void>>()
  #following: Promise<void> | undefined

  constructor(options: ContainerLogsOptions) {
    this.#options = options
    this.#channel = connect(options.coreAddress, { peer: 'gantryd' })
  }

  start(): void {
    this.#following = this.#follow()
  }

  /** Resolves when nothing is written any more. */
  async stop(): Promise<void> {
    this.#stop.abort()
    await this.#following
    await Promise.all(this.#followed.values())
    this.#channel.close()
  }

  async #follow(): Promise<void> {
    const { signal } = this.#stop
    while (!signal.aborted) {
      try {
        await this.#listen(signal)
      } catch (error) {
        if (!signal.aborted)
          this.#options.log.warn({ error: messageOf(error) }, 'gantryd does not answer; asking again')
      }
      await sleep(retryMs, undefined, { signal }).catch(() => {})
    }
  }

  /** Events first, then a look around: so nothing falls between. */
  async #listen(signal: AbortSignal): Promise<void> {
    const filters = ['topic==/tasks/create']
    const events = createClient(EventsDefinition, this.#channel).subscribe({ filters }, { signal })
    const looking = this.#lookAround()
    for await (const { namespace, event } of events)
      if (event !== undefined) this.#begin(namespace, TaskCreate.decode(event.value).containerId)
    await looking
  }

  async #lookAround(): Promise<void> {
    try {
      const { namespaces } = await createClient(NamespacesDefinition, this.#channel).list({})
      for (const { name } of namespaces) {
        const { tasks } = await createClient(TasksDefinition, this.#channel).list({}, { namespace: name })
        for (const { id } of tasks) this.#begin(name, id)
      }
    } catch (error) {
      this.#options.log.warn({ error: messageOf(error) }, 'running containers could not be listed')
    }
  }

  #begin(namespace: string, container: string): void {
    const name = `${namespace}/${container}`
    if (this.#followed.has(name)) return
    const done = this.#read(namespace, container)
      .catch(error => this.#options.log.warn({ container: name, error: messageOf(error) }, 'not followed'))
      .finally(() => this.#followed.delete(name))
    this.#followed.set(name, done)
  }

  async #read(namespace: string, container: string): Promise<void> {
    const socket = await this.#attachSocket(namespace, container)
    if (socket === '') return
    await using attachment = await attach(socket, { stdin: false, stdout: true, stderr: true, replay: true })
    const end = () => void attachment[Symbol.asyncDispose]()
    this.#stop.signal.addEventListener('abort', end, { once: true })
    const rest = { stdout: Buffer.alloc(0), stderr: Buffer.alloc(0) }
    for await (const received of attachment.received) {
      if ('exit' in received) break
      const { stream, bytes } = received
      const { texts, left } = split(Buffer.concat([rest[stream], bytes]))
      rest[stream] = Buffer.from(left)
      await this.#write(texts.map(text => ({ namespace, container, stream, at: new Date(), text })))
    }
    this.#stop.signal.removeEventListener('abort', end)
    for (const stream of ['stdout', 'stderr'] as const)
      if (rest[stream].length > 0)
        await this.#write([{ namespace, container, stream, at: new Date(), text: rest[stream].toString() }])
  }

  /** Empty for a container that somebody else's shim holds: its output is not ours to read. */
  async #attachSocket(namespace: string, id: string): Promise<string> {
    try {
      const { paths } = await createClient(ContainersServiceDefinition, this.#channel).inspect({ id }, { namespace })
      return paths?.attachSocket ?? ''
    } catch (error) {
      if (isGantryError(error, 'NOT_FOUND')) return ''
      throw error
    }
  }

  async #write(lines: readonly LogLine[]): Promise<void> {
    if (lines.length === 0) return
    try {
      await this.#options.sink.write(lines)
    } catch (error) {
      this.#options.log.error(
        { lines: lines.length, error: messageOf(error) },
        'the sink refused lines; they are dropped',
      )
    }
  }
}

/** Whole lines, and what is left of the last one. */
function split(bytes: Buffer): { texts: string[]; left: Buffer } {
  const texts: string[] = []
  let from = 0
  for (let at = bytes.indexOf(lineFeed); at >= 0; at = bytes.indexOf(lineFeed, from)) {
    texts.push(bytes.toString('utf8', from, at))
    from = at + 1
  }
  for (; bytes.length - from > maxLineBytes; from += maxLineBytes)
    texts.push(bytes.toString('utf8', from, from + maxLineBytes))
  return { texts, left: bytes.subarray(from) }
}
