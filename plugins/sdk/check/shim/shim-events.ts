/** The daemon's half that a shim hands its events to: containerd.services.events.ttrpc.v1. */
import { TaskExit, TaskStart } from '#api/gen/containerd/events/task.ts'
import { EventsDefinition } from '#api/gen/containerd/services/events/ttrpc/v1/events.ts'
import type { Envelope } from '#api/gen/containerd/types/event.ts'
import { createLogger } from '#api/log/log.ts'
import { createTtrpcServer } from '#api/rpc/ttrpc.ts'

export class EventSink implements AsyncDisposable {
  readonly received: Envelope[] = []
  #wake: () => void = () => {}
  readonly #close: () => Promise<void>

  private constructor(close: () => Promise<void>) {
    this.#close = close
  }

  /** Listens at `<daemon>.ttrpc`. */
  static async open(daemon: string): Promise<EventSink> {
    const server = createTtrpcServer({ logger: createLogger({ name: 'gantry-plugin-check', level: 'error' }) })
    const sink = new EventSink(() => server.close())
    server.add(EventsDefinition, {
      forward: async ({ envelope }) => {
        if (envelope !== undefined) sink.#take(envelope)
        return {}
      },
    })
    await server.listen(`${daemon}.ttrpc`)
    return sink
  }

  #take(envelope: Envelope): void {
    this.received.push(envelope)
    this.#wake()
  }

  topics(): string[] {
    return this.received.map(({ topic }) => topic)
  }

  exits(): TaskExit[] {
    return this.#of('/tasks/exit').map(value => TaskExit.decode(value))
  }

  starts(): TaskStart[] {
    return this.#of('/tasks/start').map(value => TaskStart.decode(value))
  }

  #of(topic: string): Uint8Array[] {
    return this.received.flatMap(envelope => (envelope.topic === topic && envelope.event ? [envelope.event.value] : []))
  }

  /** Resolves when it holds; the caller's deadline is the only one. */
  async until(holds: () => boolean): Promise<void> {
    while (!holds())
      await new Promise<void>(resolve => {
        this.#wake = resolve
      })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#close()
  }
}
