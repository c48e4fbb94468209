import type { Key, Metadata, Pace, WriteWatch } from '#core/metadata/metadata.ts'
import type { GcNode } from './gc.ts'
import { Graph } from './graph.ts'
import { RecordReader } from './read-record.ts'

export interface MarkingOptions {
  readonly metadata: Metadata
  readonly pace: Pace
  /** Kept beside what the records say, such as ingests with a writer. */
  readonly extraRoots: Iterable<GcNode & { why: string }>
}

/**
 * A marking of the whole store, in turns short enough for the daemon to serve calls in between.
 *
 * Others write between two turns. Whatever they store counts as kept, with all it refers to: an object cannot come to
 * be needed other than by a write (of itself, of what refers to it, or of a lease's hold), so none that is needed is
 * missed. What they make superfluous meanwhile may be found by the next marking only.
 */
export class Marking implements Disposable {
  readonly graph = new Graph()
  readonly #options: MarkingOptions
  readonly #watch: WriteWatch
  readonly #reader = new RecordReader(this.graph, Date.now())

  private constructor(options: MarkingOptions) {
    this.#options = options
    this.#watch = options.metadata.watch()
  }

  /** Reads and marks. When it resolves, what is not reached is garbage at this very moment. */
  static async of(options: MarkingOptions): Promise<Marking> {
    const marking = new Marking(options)
    try {
      await marking.#run()
      return marking
    } catch (error) {
      marking[Symbol.dispose]()
      throw error
    }
  }

  /** Takes in what was written since; to be called right before garbage is removed, in the same turn. */
  catchUp(): void {
    this.#takeIn(this.#watch.take())
    while (this.graph.markOne());
  }

  [Symbol.dispose](): void {
    this.#watch[Symbol.dispose]()
  }

  async #run(): Promise<void> {
    const { metadata, pace, extraRoots } = this.#options
    for (const { type, ns, key, why } of extraRoots) this.graph.root(this.graph.vertex(type, ns, key), why)
    for await (const entries of metadata.listInSteps(['in'], pace))
      for (const { key, value } of entries) this.#reader.read(key, value)
    await this.#markInTurns()
    while (!this.#watch.isEmpty) {
      this.#takeIn(this.#watch.take())
      await this.#markInTurns()
    }
  }

  async #markInTurns(): Promise<void> {
    const { pace } = this.#options
    for (let steps = 0; this.graph.markOne(); steps++) if (steps % 64 === 0) await pace.step()
  }

  #takeIn(keys: readonly Key[]): void {
    this.#options.metadata.read(tx => {
      for (const key of keys) {
        const value = tx.get(key)
        const vertex = value === undefined ? undefined : this.#reader.read(key, value)
        if (vertex !== undefined) this.graph.root(vertex, 'just written')
      }
    })
  }
}
