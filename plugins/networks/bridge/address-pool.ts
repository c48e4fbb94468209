/**
 * Which places of a row of `size` are taken, and which free one comes next: a bitmap in pieces that exist only where
 * something was ever taken. Finding one looks at 32 places at a time and skips full pieces, so a pool of 65,000 costs no
 * more than one of ten; a pool that nothing was taken from costs nothing.
 */
const pieceSize = 4096
const wordBits = 32
const fullWord = 0xffffffff

interface Piece {
  readonly words: Uint32Array
  used: number
}

export class AddressPool {
  readonly size: number
  readonly #pieces = new Map<number, Piece>()
  #used = 0

  constructor(size: number) {
    this.size = size
  }

  get used(): number {
    return this.#used
  }

  /** Taking twice counts once. */
  take(place: number): void {
    const { piece, word, bit } = this.#locate(place)
    if (((piece.words[word] ?? 0) & bit) !== 0) return
    piece.words[word] = (piece.words[word] ?? 0) | bit
    piece.used++
    this.#used++
  }

  free(place: number): void {
    const { piece, word, bit } = this.#locate(place)
    if (((piece.words[word] ?? 0) & bit) === 0) return
    piece.words[word] = (piece.words[word] ?? 0) & ~bit
    piece.used--
    this.#used--
  }

  /** The first free place at or behind `from`, going round; undefined: all are taken. */
  next(from: number): number | undefined {
    if (this.#used >= this.size) return undefined
    const start = from >= 0 && from < this.size ? from : 0
    return this.#between(start, this.size) ?? this.#between(0, start)
  }

  #between(from: number, end: number): number | undefined {
    for (let place = from; place < end; ) {
      const index = Math.floor(place / pieceSize)
      const piece = this.#pieces.get(index)
      if (piece === undefined) return place
      const pieceEnd = Math.min(end, (index + 1) * pieceSize)
      const found = piece.used < pieceSize ? freeIn(piece.words, place - index * pieceSize) : undefined
      if (found !== undefined && found + index * pieceSize < pieceEnd) return found + index * pieceSize
      place = pieceEnd
    }
    return undefined
  }

  #locate(place: number): { piece: Piece; word: number; bit: number } {
    const index = Math.floor(place / pieceSize)
    const piece = this.#pieces.get(index) ?? { words: new Uint32Array(pieceSize / wordBits), used: 0 }
    this.#pieces.set(index, piece)
    const inside = place % pieceSize
    return { piece, word: inside >> 5, bit: 1 << (inside & 31) }
  }
}

function freeIn(words: Uint32Array, from: number): number | undefined {
  for (let word = from >> 5; word < words.length; word++) {
    const below = word === from >> 5 ? 2 ** (from & 31) - 1 : 0
    const taken = ((words[word] ?? 0) | below) >>> 0
    const free = ~taken >>> 0
    if (taken !== fullWord) return word * wordBits + 31 - Math.clz32(free & -free)
  }
  return undefined
}
