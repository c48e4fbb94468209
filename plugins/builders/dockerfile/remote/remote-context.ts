/** A context that is somewhere else: a repository, an archive of the web, or a lone Dockerfile there. */
import { join } from 'node:path'
import { invalidArgument } from '#api/errors/errors.ts'
import { archiveKind, readable } from '../files/archives.ts'
import type { SourceTree } from '../files/source-tree.ts'
import { TarSource } from '../files/tar-source.ts'
import { contextAddress } from './git-address.ts'
import { remoteFile } from './remote-file.ts'
import { fetchRepository, type RemoteAccess } from './repository.ts'

const dockerfileName = 'Dockerfile'

/**
 * What it holds goes into new files and folders of `state`, which is the caller's to remove. INVALID_ARGUMENT: neither
 * of the three. Else as {@link fetchRepository} and {@link remoteFile} fail.
 */
export async function remoteContext(text: string, state: string, access: RemoteAccess): Promise<SourceTree> {
  const place = join(state, `remote-${crypto.randomUUID()}`)
  const repository = contextAddress(text)
  if (repository !== undefined) {
    const keepGitDir = repository.keepGitDir || access.keepGitDir === true
    return (await fetchRepository({ ...repository, keepGitDir }, place, access)).tree
  }
  if (!/^https?:\/\//.test(text))
    throw invalidArgument(`remote context "${text}" is neither a git repository nor an http:// or https:// address`)
  // Docker gives a text the name that a build looks for, whatever it has there.
  const { tree } = await remoteFile(text, {
    file: place,
    checksum: undefined,
    name: dockerfileName,
    ...{ signal: access.signal, secrets: access.secrets },
  })
  const entry = await tree.at(`/${dockerfileName}`)
  const kind = entry && (await archiveKind(tree, entry))
  if (entry === undefined || kind === undefined) return tree
  return TarSource.receive(readable(tree, entry, kind), `${place}.files`)
}
