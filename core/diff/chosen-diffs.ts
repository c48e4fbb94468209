/** {@link Diffs} by whoever can: differs of plugins, and our own. */
import { type GantryError, isGantryError, notImplemented } from '#api/errors/errors.ts'
import type { AppliedLayer, ApplyOptions, DiffOptions, Diffs, MadeLayer } from './diff.ts'
import type { Differ } from './proxy-diffs.ts'

/** Our own differ, in an order. */
export const builtIn = 'builtin'

/** A differ that is there. */
export interface OfferedDiffer {
  readonly id: string
  /** What it declares to read and write. Empty: it does not say, so it is asked where it is named. */
  readonly mediaTypes: readonly string[]
}

export interface ChosenDiffsParts {
  readonly own: Diffs
  /** Ids, {@link builtIn} among them or not: who is asked first. */
  readonly order: readonly string[]
  /** Sorted by id. */
  offered(): readonly OfferedDiffer[]
  differ(id: string): Differ
}

/**
 * Who is asked for a media type: those named in the order, then those that declare it, then our own; of them, who declares
 * types is asked for these alone. The next is asked when one says NOT_IMPLEMENTED, as in containerd.
 */
export class ChosenDiffs implements Diffs {
  readonly #parts: ChosenDiffsParts

  constructor(parts: ChosenDiffsParts) {
    this.#parts = parts
  }

  canApply(mediaType: string): boolean {
    return this.#askedFor(mediaType).some(id => id !== builtIn) || this.#parts.own.canApply(mediaType)
  }

  apply(
    ns: string,
    layer: Parameters<Diffs['apply']>[1],
    mounts: Parameters<Diffs['apply']>[2],
    options?: ApplyOptions,
  ) {
    const perform = (differ: Differ): Promise<AppliedLayer> => differ.apply(ns, layer, mounts, options)
    return this.#firstOf(layer.mediaType, perform)
  }

  diff(ns: string, left: Parameters<Diffs['diff']>[1], right: Parameters<Diffs['diff']>[2], options: DiffOptions = {}) {
    const perform = (differ: Differ): Promise<MadeLayer> => differ.diff(ns, left, right, options)
    return this.#firstOf(options.mediaType ?? '', perform)
  }

  discard(...args: Parameters<Diffs['discard']>): Promise<void> {
    return this.#parts.own.discard(...args)
  }

  async #firstOf<T>(mediaType: string, perform: (differ: Differ) => Promise<T>): Promise<T> {
    let refusal: GantryError | undefined
    for (const id of this.#askedFor(mediaType))
      try {
        return await perform(id === builtIn ? this.#parts.own : this.#parts.differ(id))
      } catch (error) {
        if (!isGantryError(error, 'NOT_IMPLEMENTED')) throw error
        refusal = error
      }
    throw refusal ?? notImplemented(`media type "${mediaType}": no differ reads it`)
  }

  #askedFor(mediaType: string): string[] {
    const { order } = this.#parts
    const offered = this.#parts.offered()
    const named = order.filter(id => id === builtIn || offered.some(one => one.id === id && takes(one, mediaType)))
    const declaring = offered.filter(one => one.mediaTypes.length > 0 && takes(one, mediaType)).map(({ id }) => id)
    return [...new Set([...named, ...declaring, ...(order.includes(builtIn) ? [] : [builtIn])])]
  }
}

function takes({ mediaTypes }: OfferedDiffer, mediaType: string): boolean {
  return mediaTypes.length === 0 || mediaTypes.includes(mediaType)
}
