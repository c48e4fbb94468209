/** The contexts of a build: folders that go along as archives, and names of what is elsewhere. */
import { lstat } from 'node:fs/promises'
import { resolve } from 'node:path'
import { invalidArgument } from '#api/errors/errors.ts'
import type { BuildRequest } from '#api/gen/gantry/services/builder/v1/builder.ts'
import { contextArchive } from './context-archive.ts'
import { readStandardInput, type StandardInput } from './standard-input.ts'

export interface BuildContexts {
  /** A folder; undefined with `remote` and with standard input. */
  readonly folder: string | undefined
  /** Standard input, where it is the context or the Dockerfile. */
  readonly input: StandardInput | undefined
  /** Address of a repository, an archive or a Dockerfile; empty with `folder`. */
  readonly remote: string
  /** By name, as the builder takes them. */
  readonly named: Readonly<Record<string, string>>
  /** Folders of those named contexts that go along. */
  readonly folders: ReadonlyMap<string, string>
}

const elsewhere = /^(?:https?|git|ssh|docker-image):\/\/|^[\w.-]+@[\w.-]+:|^github\.com\//
const layout = 'oci-layout://'

/** `main`: a folder, an address, or `-`; `flags`: `NAME=…` each. INVALID_ARGUMENT: neither. */
export async function contextsOf(main: string, flags: readonly string[]): Promise<BuildContexts> {
  const isRemote = elsewhere.test(main)
  const input = main === '-' ? await readStandardInput() : undefined
  const folder = isRemote || main === '-' ? undefined : main
  if (folder !== undefined) await requireFolder('context', main)
  const folders = new Map<string, string>()
  const named: Record<string, string> = {}
  for (const text of flags) {
    const at = text.indexOf('=')
    const [name, value] = [text.slice(0, at).toLowerCase(), text.slice(at + 1)]
    if (at < 1 || value === '') throw invalidArgument(`--build-context "${text}" is not NAME=FOLDER or NAME=ADDRESS`)
    if (value.startsWith(layout)) named[name] = layout + resolve(value.slice(layout.length))
    else if (elsewhere.test(value)) named[name] = value
    else {
      await requireFolder(`--build-context "${name}"`, value)
      named[name] = ''
      folders.set(name, value)
    }
  }
  return { folder, input, remote: isRemote ? main : '', named, folders }
}

/** The context first, then each named one. */
export async function* contextPieces({ folder, input, folders }: BuildContexts): AsyncGenerator<Partial<BuildRequest>> {
  if (folder !== undefined) for await (const context of contextArchive(folder)) yield { context }
  if (input !== undefined && 'archive' in input) for await (const context of input.archive) yield { context }
  for (const [name, place] of folders)
    for await (const data of contextArchive(place)) yield { namedContext: { name, data } }
}

async function requireFolder(what: string, path: string): Promise<void> {
  const stats = await lstat(path).catch(() => undefined)
  if (!stats?.isDirectory()) throw invalidArgument(`${what} "${path}" is not a directory`)
}
