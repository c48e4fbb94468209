/** The archives that a build's call brings, one after the other: the context, then each named one. */
import { invalidArgument } from '#api/errors/errors.ts'
import type { BuildRequest } from '#api/gen/gantry/services/builder/v1/builder.ts'

interface Piece {
  /** Empty: of the context. */
  readonly name: string
  readonly data: Uint8Array
}

export class ArchivePieces {
  readonly #messages: AsyncIterator<BuildRequest>
  #ahead: Piece | undefined

  constructor(messages: AsyncIterator<BuildRequest>) {
    this.#messages = messages
  }

  /** Whose the next piece is; undefined: there is no more. */
  async next(): Promise<string | undefined> {
    while (this.#ahead === undefined) {
      const { done, value } = await this.#messages.next()
      if (done) return undefined
      if (value.context !== undefined) this.#ahead = { name: '', data: value.context }
      if (value.namedContext !== undefined) this.#ahead = value.namedContext
    }
    return this.#ahead.name
  }

  /** The bytes of one archive, to be read to their end. INVALID_ARGUMENT: somebody else's come first. */
  async *of(name: string): AsyncGenerator<Uint8Array> {
    const next = await this.next()
    if (next !== undefined && next !== name)
      throw invalidArgument(`an archive of the context "${next}" came where that of "${name}" was expected`)
    while ((await this.next()) === name) {
      if (this.#ahead !== undefined) yield this.#ahead.data
      this.#ahead = undefined
    }
  }
}
