/** What another build did, as this one may use it. */
import type { HistoryEntry } from '../../image/image-config.ts'
import type { Layer, Root } from '../../solve/stage-state.ts'

/** A step that is about to be done. */
export interface SoughtStep {
  /** As `stepKey` makes it. */
  readonly key: string
  readonly root: Root
  /** Lines of the image so far, and the one that the step will add. */
  readonly history: readonly HistoryEntry[]
  readonly historyLine: string
}

export interface ForeignCache {
  /** What it is called by people. */
  readonly name: string
  /** The layer that the step led to; `unchanged`: none; undefined: it does not know. */
  find(step: SoughtStep): Layer | 'unchanged' | undefined
  /** Puts a layer that it found into the core's content, if it is not there yet; `lease` holds it. */
  fetch(layer: Layer, lease: string): Promise<void>
}
