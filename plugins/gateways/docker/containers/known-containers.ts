/**
 * What is told of containers to those who listen for events, and what goes with a container when it goes. Its record cannot be
 * asked for then: it is gone before the event of its removal comes. And to ask for each event costs more than the event.
 *
 * A copy is as good as the core's record: whatever changes one is told by an event of its own (`container-update`), after
 * which it is asked for again.
 */
import type { CoreEvent, CoreEvents } from '../core-client/core-events.ts'
import type { Config, HostConfig } from './create/body.ts'
import type { DockerRecord } from './record.ts'
import type { ContainerStore, Found } from './store.ts'
import { millisecondsOf } from './times.ts'

export interface KnownContainer {
  readonly id: string
  readonly name: string
  readonly record: KnownRecord
}

/** No more than its readers need: thousands are kept. */
export interface KnownRecord extends Pick<DockerRecord, 'mounts' | 'checkpoints'> {
  config: Pick<Config, 'Image' | 'Labels' | 'Healthcheck' | 'Shell'>
  hostConfig: Pick<HostConfig, 'AutoRemove'>
}

interface Entry {
  container: KnownContainer | undefined
  isStale: boolean
  /** Milliseconds since 1970 of its last start. */
  startedMs: number | undefined
  asking: Promise<void> | undefined
}

/** Of the last so many containers that something happened to. */
const maxKept = 4096

export class KnownContainers {
  readonly #store: Pick<ContainerStore, 'peek'>
  readonly #entries = new Map<string, Entry>()

  /** Listens before those who ask it: wire it first. */
  constructor(store: Pick<ContainerStore, 'peek'>, events: Pick<CoreEvents, 'listen'>) {
    this.#store = store
    events.listen(
      event => this.#take(event),
      () => this.#distrust(),
    )
  }

  #take({ kind, containerId, timestamp }: CoreEvent): void {
    const entry = this.#entries.get(containerId)
    if (!entry) return
    if (kind === 'container-update') entry.isStale = true
    if (kind === 'task-start' && timestamp) entry.startedMs = millisecondsOf(timestamp)
  }

  /** Something may have happened that nobody told. */
  #distrust(): void {
    for (const entry of this.#entries.values()) entry.isStale = true
  }

  /** Of one that is just being made: who asks for it meanwhile waits. */
  learn(id: string, making: Promise<Found>): void {
    const entry = this.#entryOf(id)
    entry.asking = this.#answered(entry, making).catch(() => {})
  }

  /** The last that was known of one that is gone; undefined for one that nothing was ever known of. */
  async find(id: string): Promise<KnownContainer | undefined> {
    const entry = this.#entryOf(id)
    while (entry.isStale || entry.asking) {
      entry.asking ??= this.#answered(entry, this.#store.peek(id))
      await entry.asking
    }
    if (entry.container === undefined) this.#entries.delete(id)
    return entry.container
  }

  /** An update that comes while the answer is on its way makes it stale again. */
  async #answered(entry: Entry, answer: Promise<Found | undefined>): Promise<void> {
    entry.isStale = false
    try {
      const found = await answer
      if (found) keep(entry, found)
    } catch (error) {
      entry.isStale = true
      throw error
    } finally {
      entry.asking = undefined
    }
  }

  /** Undefined: it was never started, or nothing is known of it. */
  startedMs(id: string): number | undefined {
    return this.#entries.get(id)?.startedMs
  }

  forget(id: string): void {
    this.#entries.delete(id)
  }

  /** The one that was asked for last goes last. */
  #entryOf(id: string): Entry {
    const known = this.#entries.get(id)
    const entry = known ?? { container: undefined, isStale: true, startedMs: undefined, asking: undefined }
    this.#entries.delete(id)
    this.#entries.set(id, entry)
    if (this.#entries.size > maxKept) this.#entries.delete(this.#entries.keys().next().value ?? '')
    return entry
  }
}

function keep(entry: Entry, { id, name, record, core }: Found): void {
  entry.container = { id, name, record: outlineOf(record) }
  if (core.lastRun?.startedAt) entry.startedMs = millisecondsOf(core.lastRun.startedAt)
}

function outlineOf({ config, hostConfig, mounts, checkpoints }: DockerRecord): KnownRecord {
  const { Image, Labels, Healthcheck, Shell } = config
  return {
    config: { Image, Labels, Healthcheck, Shell },
    hostConfig: { AutoRemove: hostConfig.AutoRemove },
    mounts,
    ...(checkpoints && { checkpoints }),
  }
}
