/** What a build gets to work on: its contexts, and the Dockerfile in the first. */
import { join } from 'node:path'
import { invalidArgument, notFound } from '#api/errors/errors.ts'
import type { BuildOptions, BuildRequest } from '#api/gen/gantry/services/builder/v1/builder.ts'
import { type Ignore, parseIgnore } from '../files/ignore.ts'
import { resolvePath, type SourceTree } from '../files/source-tree.ts'
import { TarSource } from '../files/tar-source.ts'
import { remoteContext } from '../remote/remote-context.ts'
import { settingsOf } from '../solve/arguments.ts'
import { ArchivePieces } from './archive-pieces.ts'

export interface ReceivedContexts {
  readonly context: SourceTree
  readonly named: ReadonlyMap<string, SourceTree>
}

/** `state`: the build's own folder. INVALID_ARGUMENT: an archive cannot be read, or is not expected. */
export async function receiveContexts(
  messages: AsyncIterator<BuildRequest>,
  { remote, namedContexts, sshAgents: agents, secrets, args }: BuildOptions,
  { state, signal }: { readonly state: string; readonly signal: AbortSignal },
): Promise<ReceivedContexts> {
  const pieces = new ArchivePieces(messages)
  if (remote !== '' && (await pieces.next()) === '')
    throw invalidArgument(`a build has one context: an archive came beside the remote context "${remote}"`)
  const context =
    remote === ''
      ? await TarSource.receive(pieces.of(''), join(state, 'context'))
      : await remoteContext(remote, state, { signal, agents, secrets, keepGitDir: settingsOf(args).keepGitDir })
  const named = new Map<string, SourceTree>()
  for (let name = await pieces.next(); name !== undefined; name = await pieces.next()) {
    if (namedContexts[name] !== '' || named.has(name))
      throw invalidArgument(`an archive of the context "${name}" came, which was not announced, or came before`)
    named.set(name, await TarSource.receive(pieces.of(name), join(state, `context-${crypto.randomUUID()}`)))
  }
  return { context, named }
}

/** NOT_FOUND: the context has none of that name. */
export async function dockerfileText(
  context: SourceTree,
  options: BuildOptions,
): Promise<{ text: string; file: string }> {
  const file = options.dockerfile || 'Dockerfile'
  if (options.inlineDockerfile.length > 0) return { text: options.inlineDockerfile.toString(), file }
  const text = await textOf(context, file)
  if (text === undefined) throw notFound(`Cannot locate specified Dockerfile: ${file}`, { bare: true })
  return { text, file }
}

/** What the Dockerfile's own ignore file leaves out, else the context's. */
export async function ignoreOf(
  context: SourceTree,
  dockerfile: string,
  { inlineDockerignore: inline }: BuildOptions,
): Promise<Ignore | undefined> {
  const own = inline.length > 0 ? inline.toString() : undefined
  const text = own ?? (await textOf(context, `${dockerfile}.dockerignore`)) ?? (await textOf(context, '.dockerignore'))
  return text === undefined ? undefined : parseIgnore(text)
}

async function textOf(context: SourceTree, path: string): Promise<string | undefined> {
  const entry = await context.at(await resolvePath(context, path))
  return entry?.type === 'file' ? Buffer.concat(await context.read(entry).toArray()).toString() : undefined
}
