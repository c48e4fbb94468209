/** What ADD does beyond COPY: files of the web, repositories, and archives that are unpacked. */
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { invalidArgument, isGantryError } from '#api/errors/errors.ts'
import { archiveKind, readable } from '../files/archives.ts'
import type { SourceTree } from '../files/source-tree.ts'
import { TarSource } from '../files/tar-source.ts'
import type { CopyInstruction } from '../language/dockerfile.ts'
import { type GitAddress, gitAddress } from '../remote/git-address.ts'
import { remoteFile } from '../remote/remote-file.ts'
import { fetchRepository, type RemoteAccess } from '../remote/repository.ts'
import { type CopiedEntries, type CopyOptions, copyEntries } from './copy-entries.ts'
import { selectSources } from './select-sources.ts'

export interface AddPlan extends RemoteAccess {
  readonly tree: SourceTree
  readonly image: SourceTree
  readonly options: CopyOptions
  /** What was asked for by `--chown`; undefined: an archive keeps its owners. */
  readonly chown: CopyOptions['owner']
  /** Private folder; what is put there goes with `undo`. */
  readonly state: string
  readonly undo: AsyncDisposableStack
}

/** Sources and destination are expanded. INVALID_ARGUMENT: a checksum for what has none; else as the sources fail. */
export async function planAdd(
  instruction: CopyInstruction,
  sources: readonly string[],
  destination: string,
  plan: AddPlan,
): Promise<CopiedEntries> {
  const { checksum, unpack } = instruction
  if (checksum !== undefined && sources.length > 1)
    throw invalidArgument('--checksum is for one source: give each an ADD of its own')
  const placed: CopiedEntries[] = []
  for (const source of sources) {
    const repository = gitAddress(source)
    const isRemote = /^https?:\/\//.test(source)
    if (repository !== undefined) placed.push(await cloned(repository, instruction, destination, plan))
    else {
      if (checksum !== undefined && !isRemote)
        throw invalidArgument(`--checksum: "${source}" is neither an http:// or https:// address nor a repository`)
      const { tree, name } = isRemote
        ? await fetched(source, checksum, destination, plan)
        : { tree: plan.tree, name: source }
      placed.push(await ((unpack ?? !isRemote) ? unpacked : copied)(tree, name, destination, plan))
    }
  }
  return together(placed)
}

/** A repository's files go into the destination, which is a directory then. */
async function cloned(
  address: GitAddress,
  { keepGitDir, checksum = address.commit }: CopyInstruction,
  destination: string,
  plan: AddPlan,
): Promise<CopiedEntries> {
  if (checksum !== '' && !/^[0-9a-f]{1,64}$/.test(checksum))
    throw invalidArgument(`--checksum "${checksum}" is not a commit's id in lower-case hex digits`)
  const place = join(plan.state, `repository-${crypto.randomUUID()}`)
  plan.undo.defer(() => rm(place, { recursive: true, force: true }))
  const wanted = { ...address, commit: checksum, keepGitDir: keepGitDir ?? address.keepGitDir }
  const { tree } = await fetchRepository(wanted, place, plan)
  const request = { keyword: 'ADD', sources: ['/'], destination: `${destination}/` } as const
  return copyEntries(tree, plan.image, request, plan.options)
}

async function fetched(url: string, checksum: string | undefined, destination: string, plan: AddPlan) {
  const file = join(plan.state, `remote-${crypto.randomUUID()}`)
  plan.undo.defer(() => rm(file, { force: true }))
  return remoteFile(url, { file, checksum, needsName: destination.endsWith('/'), ...access(plan) })
}

function access({ signal, secrets }: AddPlan) {
  return { signal, secrets }
}

function copied(
  tree: SourceTree,
  name: string,
  destination: string,
  { image, options }: AddPlan,
): Promise<CopiedEntries> {
  return copyEntries(tree, image, { keyword: 'ADD', sources: [name], destination }, options)
}

/** Each archive that the source means is unpacked into the destination, which is a directory then; the rest is copied. */
async function unpacked(tree: SourceTree, source: string, destination: string, plan: AddPlan): Promise<CopiedEntries> {
  const placed: CopiedEntries[] = []
  for (const { path, entry } of await selectSources(tree, source, plan.options)) {
    const archive = await opened(tree, entry, plan)
    if (archive === undefined) placed.push(await copied(tree, escaped(path), destination, plan))
    else {
      // The archive's own owners, unless others were asked for; its root is the destination.
      const options = { ...plan.options, owner: plan.chown, replaces: true }
      const request = { keyword: 'ADD', sources: ['/'], destination: `${destination}/` } as const
      const { entries } = await copyEntries(archive, plan.image, request, options)
      placed.push({ entries, sources: ['file'] })
    }
  }
  return together(placed)
}

function together(placed: readonly CopiedEntries[]): CopiedEntries {
  return { entries: placed.flatMap(({ entries }) => entries), sources: placed.flatMap(({ sources }) => sources) }
}

/** Undefined for a file that only begins like an archive. */
async function opened(tree: SourceTree, entry: Parameters<typeof archiveKind>[1], { state, undo }: AddPlan) {
  const kind = await archiveKind(tree, entry)
  if (kind === undefined) return undefined
  const file = join(state, `archive-${crypto.randomUUID()}`)
  undo.defer(() => rm(file, { force: true }))
  try {
    return await TarSource.receive(readable(tree, entry, kind), file, { owners: 'kept' })
  } catch (error) {
    if (isGantryError(error, 'INVALID_ARGUMENT')) return undefined
    throw error
  }
}

/** A path that was found already and is no pattern any more. */
function escaped(path: string): string {
  return path.replaceAll(/[*?[\\]/g, char => `\\${char}`)
}
