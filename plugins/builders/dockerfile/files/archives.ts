/** Archives among files: ADD unpacks them. */
import { type ChildProcessByStdio, spawn } from 'node:child_process'
import { once } from 'node:events'
import type { Readable, Writable } from 'node:stream'
import { invalidArgument, notImplemented } from '#api/errors/errors.ts'
import type { Entry, SourceTree } from './source-tree.ts'

export type ArchiveKind = 'tar' | 'gzip' | 'zstd' | 'bzip2' | 'xz'

const magic: readonly (readonly [ArchiveKind, number, readonly number[]])[] = [
  ['gzip', 0, [0x1f, 0x8b]],
  ['zstd', 0, [0x28, 0xb5, 0x2f, 0xfd]],
  ['bzip2', 0, [0x42, 0x5a, 0x68]],
  ['xz', 0, [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00]],
  ['tar', 257, [0x75, 0x73, 0x74, 0x61, 0x72]],
]
const sniffBytes = 262

/** What the first bytes of a file say; undefined: no archive that ADD knows. */
export async function archiveKind(tree: SourceTree, entry: Entry): Promise<ArchiveKind | undefined> {
  if (entry.type !== 'file' || entry.size === 0) return undefined
  const stream = tree.read(entry)
  const chunks: Buffer[] = []
  for await (const chunk of stream) {
    chunks.push(chunk)
    if (chunks.reduce((sum, { length }) => sum + length, 0) >= sniffBytes) break
  }
  const start = Buffer.concat(chunks)
  return magic.find(([, at, bytes]) => start.subarray(at, at + bytes.length).equals(Buffer.from(bytes)))?.[0]
}

/** The archive's bytes in a form that {@link TarSource} reads. bzip2 and xz take the host's programs of that name. */
export function readable(tree: SourceTree, entry: Entry, kind: ArchiveKind): AsyncIterable<Uint8Array> {
  const stream = tree.read(entry)
  if (kind !== 'bzip2' && kind !== 'xz') return stream
  const child = spawn(kind, ['--decompress', '--stdout'], { stdio: ['pipe', 'pipe', 'pipe'] })
  let said = ''
  child.stderr.on('data', (chunk: Buffer) => {
    said = (said + chunk.toString()).slice(-1024)
  })
  child.on('error', () =>
    child.stdout.destroy(notImplemented(`unpacking ${kind} without the program ${kind} on this host`)),
  )
  // A program that stops reading early has its reason: what it wrote is judged.
  child.stdin.on('error', () => {})
  stream.pipe(child.stdin)
  return whole(child, () => invalidArgument(`${kind} cannot read "${entry.path}": ${said.trim()}`))
}

/** Its output; fails when the program does. */
async function* whole(child: ChildProcessByStdio<Writable, Readable, Readable>, failure: () => Error) {
  const ended = once(child, 'close')
  yield* child.stdout as AsyncIterable<Buffer>
  const [code] = await ended
  if (code !== 0) throw failure()
}
