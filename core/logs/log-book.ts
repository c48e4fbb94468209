/** Logs, by the records of containers and the events of their shims. */
import { mkdir, readFile, stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import type { LogPlace } from '#api/container-log/log-parts.ts'
import { isGantryError, messageOf } from '#api/errors/errors.ts'
import { TaskCreate, TaskExit } from '#api/gen/containerd/events/task.ts'
import { Source, State } from '#api/gen/gantry/services/logs/v1/logs.ts'
import type { Logger } from '#api/log/log.ts'
import { forwards } from '#api/log-drivers/drivers.ts'
import type { Container, Containers } from '#core/containers/containers.ts'
import { type Envelope, type EventExchange, eventAny } from '#core/events/events.ts'
import type { PlacesOf } from '#core/launch/launch.ts'
import { type Key, type Metadata, namespaceNames, objectKey } from '#core/metadata/metadata.ts'
import { DepartedLogs } from './departed.ts'
import type { Logs } from './logs.ts'
import { driverFollower, noteIn, sourceOf } from './sources.ts'

export interface LogBookParts {
  readonly metadata: Metadata
  readonly containers: Pick<Containers, 'get' | 'list'>
  readonly exchange: EventExchange
  readonly placesOf: PlacesOf
  /** What there is of folders of containers. */
  readonly containerFolders: () => Promise<{ ns: string; id: string }[]>
  readonly hasTask: (ns: string, id: string) => boolean
  /** Of departed logs. */
  readonly folder: string
  /** Whether there is still a plugin of that name that reads logs. */
  readonly isInstalled: (follower: string) => boolean
  /** Starts the drivers' process, unless it runs. */
  readonly wakeDrivers: () => Promise<unknown>
  readonly logger: Logger
}

interface Follower {
  readonly name: string
  readonly driversOnly: boolean
}

const followerKey = (follower?: string): Key => ['log-followers', ...(follower === undefined ? [] : [follower])]
const departedTopic = '/logs/departed'
const sourceType = 'gantry.services.logs.v1.Source'

export class LogBook implements Logs, Disposable {
  readonly #parts: LogBookParts
  readonly #departed: DepartedLogs
  readonly #stopped = new AbortController()

  constructor(parts: LogBookParts) {
    this.#parts = parts
    this.#departed = new DepartedLogs(parts.folder, parts.logger)
  }

  /** Takes up what an earlier daemon left. Before anything can be removed. */
  async open(): Promise<void> {
    const { folder, metadata, containerFolders, logger } = this.#parts
    await mkdir(folder, { recursive: true, mode: 0o700 })
    await this.#departed.open()
    for (const { ns, id } of await containerFolders())
      if (metadata.read(tx => tx.get(objectKey(ns, 'containers', id))) === undefined)
        await this.depart(ns, id).catch(error => {
          logger.warn(
            { ns, id, error: messageOf(error) },
            'what was to become of a removed log cannot be read: it goes',
          )
        })
  }

  /** From now on the drivers' process is started whenever there is something for it. */
  async start(): Promise<void> {
    const { signal } = this.#stopped
    const events = this.#events(signal)
    const forwarded = this.#departed.waitingFor(driverFollower).length > 0 || (await this.#anyUnsent())
    if (forwarded) this.#wake()
    this.#wakeBy(events).catch(error => {
      if (!signal.aborted) this.#parts.logger.error({ error: messageOf(error) }, 'log drivers are not woken any more')
    })
  }

  [Symbol.dispose](): void {
    this.#stopped.abort()
    this.#departed[Symbol.dispose]()
  }

  async *follow(follower: string, driversOnly: boolean, signal: AbortSignal): AsyncIterable<Source> {
    this.#parts.metadata.write(tx => tx.put(followerKey(follower), { driversOnly }))
    // Subscribed before the look around: so nothing falls between.
    const events = this.#events(signal)
    for (const source of this.#departed.waitingFor(follower)) yield withNote(source, follower)
    for (const source of await this.#present()) if (isWanted(source, driversOnly)) yield withNote(source, follower)
    for await (const event of events) {
      const source = await this.#sourceBy(event)
      if (source && isWanted(source, driversOnly)) yield withNote(source, follower)
    }
  }

  done(follower: string, file: string): Promise<void> {
    return this.#departed.done(follower, file)
  }

  async departing(ns: string, container: Container): Promise<void> {
    const places = this.#parts.placesOf(ns, container.id)
    const source = sourceOf(ns, container, places, State.STATE_DEPARTED)
    await this.#departed.announce(places.directory, source, source ? await this.#waitingFor(source) : [])
  }

  async depart(ns: string, id: string): Promise<void> {
    const departed = await this.#departed.depart(this.#parts.placesOf(ns, id).directory)
    if (departed) this.#parts.exchange.publish(ns, departedTopic, eventAny(sourceType, Source, departed))
  }

  #events(signal: AbortSignal): AsyncIterable<Envelope> {
    const topics = ['/tasks/create', '/tasks/exit', departedTopic]
    return this.#parts.exchange.subscribe(
      topics.map(topic => `topic=="${topic}"`),
      signal,
    )
  }

  /** Followers that have not read the log to its end. */
  async #waitingFor(source: Source): Promise<string[]> {
    const interested = this.#followers()
      .filter(({ name, driversOnly }) => this.#parts.isInstalled(name) && isWanted(source, driversOnly))
      .map(({ name }) => name)
    // The drivers' process is started by the log's first line, and may not have asked for it yet.
    const all = forwards(source.driver) ? [...new Set([...interested, driverFollower])] : interested
    const unread = await Promise.all(all.map(name => hasUnread(source.file, noteIn(dirname(source.file), name))))
    return all.filter((_, index) => unread[index])
  }

  #followers(): Follower[] {
    return this.#parts.metadata.read(tx =>
      Array.from(tx.list<Omit<Follower, 'name'>>(followerKey()), ({ key, value }) => ({
        name: String(key.at(-1)),
        driversOnly: value.driversOnly,
      })),
    )
  }

  /** All logs of containers that are there. */
  async #present(): Promise<Source[]> {
    const { metadata, containers } = this.#parts
    const names = metadata.read(namespaceNames)
    const lists = await Promise.all(names.map(async ns => ({ ns, records: await containers.list(ns) })))
    return lists.flatMap(({ ns, records }) => records.flatMap(record => this.#sourceOf(ns, record) ?? []))
  }

  #sourceOf(ns: string, record: Container, state?: State): Source | undefined {
    const now = this.#parts.hasTask(ns, record.id) ? State.STATE_GROWING : State.STATE_RESTING
    return sourceOf(ns, record, this.#parts.placesOf(ns, record.id), state ?? now)
  }

  /** Undefined: it is not about a log, or nonsense, which whoever may publish may say. */
  async #sourceBy(envelope: Envelope): Promise<Source | undefined> {
    try {
      return await this.#sourceTold(envelope)
    } catch (error) {
      // One that is gone already has departed, which is told too.
      if (!isGantryError(error, 'NOT_FOUND'))
        this.#parts.logger.warn({ topic: envelope.topic }, `an event says nothing of a log: ${messageOf(error)}`)
      return undefined
    }
  }

  async #sourceTold({ namespace, topic, event }: Envelope): Promise<Source | undefined> {
    if (!event) return undefined
    if (topic === departedTopic) return this.#departed.known(Source.decode(event.value))
    const isCreate = topic === '/tasks/create'
    const { containerId, id } = isCreate ? { ...TaskCreate.decode(event.value), id: '' } : TaskExit.decode(event.value)
    if (!isCreate && id !== containerId) return undefined
    const record = await this.#parts.containers.get(namespace, containerId)
    return this.#sourceOf(namespace, record, isCreate ? State.STATE_GROWING : State.STATE_RESTING)
  }

  async #wakeBy(events: AsyncIterable<Envelope>): Promise<void> {
    for await (const event of events) {
      const source = event.topic === '/tasks/exit' ? undefined : await this.#sourceBy(event)
      if (source && forwards(source.driver)) this.#wake()
    }
  }

  #wake(): void {
    this.#parts.wakeDrivers().catch(error => {
      this.#parts.logger.error({ error: messageOf(error) }, 'the log drivers do not start; logs wait for them')
    })
  }

  async #anyUnsent(): Promise<boolean> {
    for (const source of await this.#present()) {
      if (!forwards(source.driver)) continue
      if (source.state === State.STATE_GROWING) return true
      if (await hasUnread(source.file, noteIn(dirname(source.file), driverFollower))) return true
    }
    return false
  }
}

const isWanted = ({ driver }: Source, driversOnly: boolean) => !driversOnly || forwards(driver)

const withNote = (source: Source, follower: string): Source => ({
  ...source,
  note: noteIn(dirname(source.file), follower),
})

/** The note is not at the end of the live file. */
async function hasUnread(file: string, note: string): Promise<boolean> {
  const live = await stat(file, { bigint: true }).catch(() => undefined)
  if (!live) return false
  const text = await readFile(note, 'utf8').catch(() => '')
  if (text === '') return live.size > 0n
  const { inode, offset } = JSON.parse(text) as LogPlace
  return BigInt(inode) !== live.ino || BigInt(offset) < live.size
}
