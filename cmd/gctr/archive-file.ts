/** The file an archive is read from or written to; `-` is a standard stream. */
import { createReadStream, createWriteStream } from 'node:fs'
import { open, rename, rm } from 'node:fs/promises'
import type { Readable, Writable } from 'node:stream'
import { invalidArgument } from '#api/errors/errors.ts'

/** INVALID_ARGUMENT names a file that cannot be read. */
export async function openArchive(path: string): Promise<Readable> {
  if (path === '-') return process.stdin
  const file = await open(path).catch(cause => {
    throw cannot('read', path, cause)
  })
  if ((await file.stat()).isDirectory()) {
    await file.close()
    throw invalidArgument(`file "${path}" is a directory, not an archive`)
  }
  return createReadStream(path, { fd: file })
}

export interface NewArchive extends AsyncDisposable {
  readonly stream: Writable
  /** Gives the complete file its name. Without it, nothing is left of it. */
  keep(): Promise<void>
}

/** Written under another name until it is complete. INVALID_ARGUMENT names a file that cannot be made. */
export async function createArchive(path: string): Promise<NewArchive> {
  if (path === '-') return { stream: process.stdout, keep: async () => {}, [Symbol.asyncDispose]: async () => {} }
  const aside = `${path}.part-${process.pid}`
  const file = await open(aside, 'wx').catch(cause => {
    throw cannot('written', path, cause)
  })
  const stream = createWriteStream(aside, { fd: file })
  // What goes wrong with it is told to who writes; a failed transfer may leave it alone.
  stream.on('error', () => {})
  return {
    stream,
    keep: () => rename(aside, path),
    async [Symbol.asyncDispose]() {
      stream.destroy()
      await rm(aside, { force: true })
    },
  }
}

function cannot(be: 'read' | 'written', path: string, cause: NodeJS.ErrnoException) {
  return invalidArgument(`file "${path}" cannot be ${be} (${cause.code})`, { cause })
}
