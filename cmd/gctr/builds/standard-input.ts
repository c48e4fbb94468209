/** `gctr build -`: standard input is the context as a tar archive, or a Dockerfile that has none. */
const magic: readonly (readonly [at: number, bytes: Buffer])[] = [
  [0, Buffer.from([0x1f, 0x8b])],
  [0, Buffer.from([0x28, 0xb5, 0x2f, 0xfd])],
  [257, Buffer.from('ustar')],
]
const sniffBytes = 262

export type StandardInput =
  | { readonly archive: AsyncIterable<Buffer> }
  /** The Dockerfile's text. */
  | { readonly dockerfile: Buffer }

/** What its first bytes say; a Dockerfile is read to its end. */
export async function readStandardInput(input: AsyncIterable<Buffer> = process.stdin): Promise<StandardInput> {
  const chunks = input[Symbol.asyncIterator]()
  let opening: Buffer = Buffer.alloc(0)
  let ended = false
  while (!ended && opening.length < sniffBytes) {
    const next = await chunks.next()
    if (next.done) ended = true
    else opening = Buffer.concat([opening, next.value])
  }
  async function* all() {
    yield opening
    for (let next = await chunks.next(); !next.done; next = await chunks.next()) yield next.value
  }
  const isArchive = magic.some(([at, bytes]) => opening.subarray(at, at + bytes.length).equals(bytes))
  if (isArchive) return { archive: all() }
  const rest: Buffer[] = []
  for await (const chunk of all()) rest.push(chunk)
  return { dockerfile: Buffer.concat(rest) }
}
