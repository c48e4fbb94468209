/** COPY and ADD: which files, to where, and the layer that holds them. */
import { excluding } from '../files/ignore.ts'
import type { SourceTree } from '../files/source-tree.ts'
import { ownerOf } from '../files/users.ts'
import type { CopyInstruction } from '../language/dockerfile.ts'
import type { Heredoc } from '../language/heredoc.ts'
import type { RemoteAccess } from '../remote/repository.ts'
import { planAdd } from './add.ts'
import { type CopiedEntries, type CopyEntry, copyEntries } from './copy-entries.ts'
import { readMode } from './file-mode.ts'
import { heredocTree } from './heredoc-tree.ts'

export interface CopyPlan extends RemoteAccess {
  /** Private folder; what is put there goes with `undo`. */
  readonly state: string
  readonly undo: AsyncDisposableStack
  readonly tree: SourceTree
  /** The image's root as it stands. */
  readonly image: SourceTree
  readonly workingDir: string
  /** From another image or stage: owners stay as they are there. */
  readonly isForeign: boolean
  /** Expands variables of a word. */
  expand(word: string): string
  /** The same for a here-document's content. */
  expandContent(heredoc: Heredoc): string
}

/** What a COPY puts into the image. */
export interface Copied {
  readonly entries: readonly CopyEntry[]
  /** How history calls the sources: one file, one directory, or more. */
  readonly what: 'file' | 'dir' | 'multi'
}

/** What the entries are read from stays until `undo`. */
export async function planCopy(instruction: CopyInstruction, plan: CopyPlan): Promise<Copied> {
  const { keyword, heredocs } = instruction
  const sources = instruction.sources.map(plan.expand)
  const owner = instruction.chown === undefined ? undefined : await ownerOf(plan.image, plan.expand(instruction.chown))
  const options = {
    workingDir: plan.workingDir,
    owner: owner ?? (plan.isForeign ? undefined : { uid: 0, gid: 0 }),
    chmod: instruction.chmod === undefined ? undefined : readMode(plan.expand(instruction.chmod)),
    parents: instruction.parents,
    exclude: excluding(instruction.exclude.map(plan.expand)),
    confined: !plan.isForeign,
  }
  const destination = plan.expand(instruction.destination)
  const copied =
    sources.length === 0
      ? nothing
      : keyword === 'ADD'
        ? await planAdd(expanded(instruction, plan), sources, destination, { ...plan, options, chown: owner })
        : await copyEntries(plan.tree, plan.image, { keyword, sources, destination }, options)
  if (heredocs.length === 0) return { entries: copied.entries, what: whatOf(copied.sources) }
  const contents = heredocs.map(heredoc => ({ name: heredoc.name, content: plan.expandContent(heredoc) }))
  const names = contents.map(({ name }) => name)
  const written = await copyEntries(
    heredocTree(contents),
    plan.image,
    { keyword, sources: names, destination: sources.length > 0 ? `${destination}/` : destination },
    options,
  )
  return {
    entries: [...copied.entries, ...written.entries],
    what: whatOf([...copied.sources, ...written.sources]),
  }
}

function expanded(instruction: CopyInstruction, { expand }: CopyPlan): CopyInstruction {
  return { ...instruction, checksum: instruction.checksum && expand(instruction.checksum) }
}

const nothing: CopiedEntries = { entries: [], sources: [] }

function whatOf([first, ...more]: CopiedEntries['sources']): Copied['what'] {
  if (first === undefined || more.length > 0) return 'multi'
  return first === 'directory' ? 'dir' : 'file'
}
