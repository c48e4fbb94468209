import type { Key, WriteTransaction } from '#api/store/store.ts'

/**
 * Remembers the keys stored while it watches. Work that reads the store in several turns asks it what it may have
 * missed in between.
 */
export class WriteWatch implements Disposable {
  #keys: Key[] = []
  readonly #end: (watch: WriteWatch) => void

  constructor(end: (watch: WriteWatch) => void) {
    this.#end = end
  }

  get isEmpty(): boolean {
    return this.#keys.length === 0
  }

  /** Keys stored since the last call, in order; one may be there twice, and deleted by now. */
  take(): Key[] {
    const keys = this.#keys
    this.#keys = []
    return keys
  }

  note(keys: readonly Key[]): void {
    for (const key of keys) this.#keys.push(key)
  }

  [Symbol.dispose](): void {
    this.#end(this)
  }
}

/** The transaction, with every key it stores added to `keys`, and what it deletes to `deleted`. */
export function noting(tx: WriteTransaction, keys: Key[], deleted: Key[]): WriteTransaction {
  return {
    get: key => tx.get(key),
    list: (prefix, options) => tx.list(prefix, options),
    put(key, value) {
      tx.put(key, value)
      keys.push(key)
    },
    delete(key) {
      const wasThere = tx.delete(key)
      if (wasThere) deleted.push(key)
      return wasThere
    },
  }
}
