/**
 * Containers that were made here a moment ago and that nothing has happened to since: `docker run` asks for its own three
 * times within some milliseconds (attach, wait, start), and what create knew is what the core would answer.
 *
 * A copy goes as soon as it may be none any more: with the first event of its container, when the core was out of sight, and
 * when somebody asks for the container as it is, since that is what every change by a client of ours begins with.
 */
import type { CoreEvents } from '../core-client/core-events.ts'
import type { Found } from './store.ts'

/** Longer than any client takes from create to start. */
const keptMs = 10_000
const maxKept = 64

export class NewContainers {
  readonly #containers = new Map<string, { found: Found; sinceMs: number }>()

  follow(events: Pick<CoreEvents, 'listen'>): void {
    events.listen(
      ({ kind, containerId }) => void (kind === 'container-create' || this.#containers.delete(containerId)),
      () => this.#containers.clear(),
    )
  }

  add(found: Found): void {
    this.#containers.set(found.id, { found, sinceMs: performance.now() })
    if (this.#containers.size > maxKept) this.#containers.delete(this.#containers.keys().next().value ?? '')
  }

  /** By its whole id alone: names change hands. */
  get(id: string): Found | undefined {
    const kept = this.#containers.get(id)
    if (kept === undefined || performance.now() - kept.sinceMs < keptMs) return kept?.found
    this.#containers.delete(id)
    return undefined
  }

  delete(id: string): void {
    this.#containers.delete(id)
  }
}
