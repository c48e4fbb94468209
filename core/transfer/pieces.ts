/** Long enough that writing and hashing one costs more than the turns of the event loop around it. */
const maxPieceBytes = 1024 * 1024

/**
 * The same bytes in long pieces, whatever the source's chunks are. A piece is valid until the next is asked for: they
 * share their memory, so that a large archive leaves no garbage. `sizeBytes`: how much there is, when that is known.
 */
export async function* inPieces(
  source: AsyncIterable<Uint8Array>,
  sizeBytes = maxPieceBytes,
): AsyncGenerator<Uint8Array, undefined> {
  const pieceBytes = Math.max(1, Math.min(sizeBytes, maxPieceBytes))
  let piece: Buffer | undefined
  let filled = 0
  for await (const chunk of source) {
    for (let at = 0; at < chunk.length; ) {
      piece ??= Buffer.allocUnsafeSlow(pieceBytes)
      const part = chunk.subarray(at, at + pieceBytes - filled)
      piece.set(part, filled)
      filled += part.length
      at += part.length
      if (filled < pieceBytes) continue
      yield piece
      filled = 0
    }
  }
  if (piece !== undefined && filled > 0) yield piece.subarray(0, filled)
}
