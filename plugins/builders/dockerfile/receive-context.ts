/** What a build gets to work on: its context, and the Dockerfile in it. */
import { join } from 'node:path'
import { invalidArgument, notFound } from '#api/errors/errors.ts'
import type { BuildOptions, BuildRequest } from '#api/gen/gantry/services/builder/v1/builder.ts'
import { parseIgnore } from './files/ignore.ts'
import { ignoring } from './files/ignoring.ts'
import { resolvePath, type SourceTree } from './files/source-tree.ts'
import { TarSource } from './files/tar-source.ts'
import { remoteContext } from './remote/remote-context.ts'

/** `state`: the build's own folder. INVALID_ARGUMENT: the archive cannot be read, or came beside a remote context. */
export async function receiveContext(
  messages: AsyncIterator<BuildRequest>,
  { remote, sshAgents: agents, secrets }: BuildOptions,
  { state, signal }: { readonly state: string; readonly signal: AbortSignal },
): Promise<SourceTree> {
  if (remote === '') return TarSource.receive(contextBytes(messages), join(state, 'context'))
  for await (const _ of contextBytes(messages))
    throw invalidArgument(`a build has one context: an archive came beside the remote context "${remote}"`)
  return remoteContext(remote, state, { signal, agents, secrets })
}

async function* contextBytes(messages: AsyncIterator<BuildRequest>): AsyncGenerator<Uint8Array> {
  for (let next = await messages.next(); !next.done; next = await messages.next())
    if (next.value.context !== undefined) yield next.value.context
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

/** The Dockerfile's own ignore file goes before the context's. */
export async function asIgnored(
  context: SourceTree,
  dockerfile: string,
  { inlineDockerignore: inline }: BuildOptions,
): Promise<SourceTree> {
  const own = inline.length > 0 ? inline.toString() : undefined
  const text = own ?? (await textOf(context, `${dockerfile}.dockerignore`)) ?? (await textOf(context, '.dockerignore'))
  return text === undefined ? context : ignoring(context, parseIgnore(text))
}

async function textOf(context: SourceTree, path: string): Promise<string | undefined> {
  const entry = await context.at(await resolvePath(context, path))
  return entry?.type === 'file' ? Buffer.concat(await context.read(entry).toArray()).toString() : undefined
}
