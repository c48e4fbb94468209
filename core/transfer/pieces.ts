/** Long enough that writing and hashing one costs more than the turns of the event loop around it. */
const longestBytes = 1024 * 1024

/**
 * The same bytes in long pieces, whatever the source's chunks are. A piece is valid until the next is asked for: they
 * share their memory, so that a large archive leaves no garbage. `pieceBytes`: how long, at most 1 MiB; how much there is, when that is
 * less. What came before the source failed is a piece too.
 */
export async function* inPieces(
  source: AsyncIterable<Uint8Array>,
  pieceBytes = longestBytes,
): AsyncGenerator<Uint8Array, undefined> {
  const memory = Buffer.allocUnsafeSlow(Math.max(1, Math.min(pieceBytes, longestBytes)))
  let filled = 0
  let failure: { error: unknown } | undefined
  const chunks = source[Symbol.asyncIterator]()
  try {
    for (;;) {
      const next = await chunks.next().catch((error: unknown) => {
        failure = { error }
      })
      if (next === undefined || next.done) break
      for (let at = 0; at < next.value.length; ) {
        const part = next.value.subarray(at, at + memory.length - filled)
        memory.set(part, filled)
        filled += part.length
        at += part.length
        if (filled < memory.length) continue
        yield memory
        filled = 0
      }
    }
    if (filled > 0) yield memory.subarray(0, filled)
    if (failure !== undefined) throw failure.error
  } finally {
    await chunks.return?.()
  }
}
