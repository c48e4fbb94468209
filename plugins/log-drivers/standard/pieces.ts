/** Numbers the pieces of long lines, stream by stream. */
import { randomBytes } from 'node:crypto'
import type { LogLine } from '#sdk/define-log-sink.ts'
import type { OutLine } from './carrier.ts'

export class Pieces {
  readonly #open = new Map<string, { id: string; ordinal: number }>()

  number(lines: readonly LogLine[]): OutLine[] {
    return lines.map(line => ({ ...line, piece: this.#pieceOf(line) }))
  }

  #pieceOf({ stream, isPartial }: LogLine): OutLine['piece'] {
    const before = this.#open.get(stream)
    if (!before && !isPartial) return undefined
    const piece = before
      ? { ...before, ordinal: before.ordinal + 1 }
      : { id: randomBytes(32).toString('hex'), ordinal: 1 }
    if (isPartial) this.#open.set(stream, piece)
    else this.#open.delete(stream)
    return { ...piece, isLast: !isPartial }
  }
}
