/** COPY, ADD and WORKDIR as steps: what they put into the image is one archive, which is the layer. */
import { posix } from 'node:path'
import { RootSource } from '../files/root-source.ts'
import type { SourceTree } from '../files/source-tree.ts'
import type { CopyInstruction } from '../language/dockerfile.ts'
import { expandWord } from '../language/expand.ts'
import { planCopy } from '../steps/copy.ts'
import { entryDigests, layerArchive, totalDigest } from '../steps/copy-archive.ts'
import { type CopyEntry, madeDirectory } from '../steps/copy-entries.ts'
import { selectEntries } from '../steps/select-sources.ts'
import type { Build } from './build-request.ts'
import { historyLine } from './history.ts'
import { lookupIn, type Root, runConfig, type StageState } from './stage-state.ts'
import { cachedOr, expandIn, remember, type StepContext } from './step-context.ts'

export async function copyStep(context: StepContext, instruction: CopyInstruction): Promise<StageState> {
  const { build, state } = context
  const { keyword, text } = instruction
  await using undo = new AsyncDisposableStack()
  await using image = rootSource(build, state.root)
  return await withSource(context, instruction, async (tree, isForeign) => {
    const { entries, what } = await planCopy(instruction, {
      ...{ undo, state: build.state, signal: build.signal },
      ...{ agents: build.options.sshAgents, secrets: build.options.secrets },
      ...{ tree, isForeign, image, workingDir: runConfig(state).WorkingDir ?? '/' },
      expand: word => expandIn(context, word),
      expandContent: ({ content, expand }) => (expand ? expandHeredoc(content, state) : content),
    })
    const files = await entryDigests(entries)
    const digest = totalDigest(files)
    const owner = instruction.chown === undefined ? '' : `--chown=${expandIn(context, instruction.chown)}`
    const told = `${keyword} ${owner}${what}:${digest} in ${expandIn(context, instruction.destination)} `
    const line = historyLine(state, keyword, told)
    const work = { kind: 'copy', inputs: { files: digest }, files, text, historyLine: line } as const
    const root = await cachedOr(context, work, () => addEntries(context, entries))
    return remember(build, { ...state, root }, line, root === state.root)
  })
}

async function withSource<T>(
  context: StepContext,
  { from }: CopyInstruction,
  body: (tree: SourceTree, isForeign: boolean) => Promise<T>,
): Promise<T> {
  const { build } = context
  if (from === undefined) return body(build.context, false)
  const source = await context.sourceOf(expandIn(context, from))
  if ('tree' in source) return body(source.tree, false)
  await using tree = rootSource(build, source.root)
  return await body(tree, true)
}

/** The state says the directory already; here it is made, when the root lacks it. */
export async function workdirStep(context: StepContext, line: string): Promise<StageState> {
  const { build, state } = context
  const path = runConfig(state).WorkingDir ?? '/'
  await using image = rootSource(build, state.root)
  const missing: string[] = []
  for (let at = path; at !== '/' && (await image.at(at)) === undefined; at = posix.dirname(at)) missing.unshift(at)
  if (missing.length === 0) return remember(build, state, line, true)
  const entries = missing.map(at => ({ path: at, entry: madeDirectory(at), tree: undefined }))
  const work = { kind: 'WORKDIR', inputs: { directories: missing }, text: line, historyLine: line } as const
  const root = await cachedOr(context, work, () => addEntries(context, entries))
  return remember(build, { ...state, root }, line, false)
}

/** A tree as the root of a stage: what FROM means by a named context of files. */
export async function treeRoot(build: Build, tree: SourceTree): Promise<Root> {
  const archive = layerArchive(await selectEntries(tree, '/'), build.epoch)
  return await build.layers.addArchive({ chainID: '', layers: [] }, archive)
}

/** Mounted only for what no build has asked of this root before. */
function rootSource({ layers, cache }: Build, root: Root): RootSource {
  return new RootSource({ chainID: root.chainID, memory: cache.roots, open: () => layers.openView(root) })
}

function addEntries({ build, state }: StepContext, entries: readonly CopyEntry[]): Promise<Root> {
  return build.layers.addArchive(state.root, layerArchive(entries, build.epoch))
}

/** Here-documents know variables and no quotes: those are part of the file. */
function expandHeredoc(content: string, state: StageState): string {
  const quoted = content.replaceAll(/['"]/g, quote => `\\${quote}`)
  return expandWord(quoted, { escapeChar: '\\', lookup: lookupIn(state) })
}
