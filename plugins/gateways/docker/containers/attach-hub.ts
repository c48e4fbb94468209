/**
 * Clients that attach before the container is started: they are joined to its shim between the task's creation and the
 * start of its process, so that no byte is missed.
 */
type Join = () => Promise<void>

export class AttachHub {
  readonly #waiting = new Map<string, Set<Join>>()

  /** `join` is called when the container's task is there. Answers how to stop waiting. */
  wait(id: string, join: Join): () => void {
    const joins = this.#waiting.get(id) ?? new Set()
    this.#waiting.set(id, joins.add(join))
    return () => {
      joins.delete(join)
      if (joins.size === 0 && this.#waiting.get(id) === joins) this.#waiting.delete(id)
    }
  }

  /** Resolves when everybody who waited is joined, or could not be. */
  async created(id: string): Promise<void> {
    const joins = this.#waiting.get(id)
    if (!joins) return
    this.#waiting.delete(id)
    await Promise.allSettled([...joins].map(join => join()))
  }
}
