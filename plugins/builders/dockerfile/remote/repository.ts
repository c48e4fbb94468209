/** A git repository at one commit, as a source tree. */
import { mkdir, rm } from 'node:fs/promises'
import { join, posix } from 'node:path'
import { dataLoss, invalidArgument, isGantryError, notFound } from '#api/errors/errors.ts'
import { DirectorySource } from '../files/directory-source.ts'
import { resolvePath, type SourceTree } from '../files/source-tree.ts'
import { type GitAddress, withoutPassword } from './git-address.ts'
import { type GitOptions, git } from './git-program.ts'
import { RepositoryTree } from './repository-tree.ts'

export interface RemoteAccess {
  readonly signal: AbortSignal
  /** Sockets of ssh agents, by id; `default` is asked for keys. */
  readonly agents: Readonly<Record<string, string>>
  /** `GIT_AUTH_TOKEN[.host]` and `GIT_AUTH_HEADER[.host]` say who we are to a server over HTTP, as with BuildKit. */
  readonly secrets: Readonly<Record<string, Uint8Array>>
  /** A repository keeps its `.git`, whatever its address says. */
  readonly keepGitDir?: boolean
}

export interface Repository {
  readonly tree: SourceTree
  /** Full id. */
  readonly commit: string
}

/**
 * Fetches into `place`, a new folder that is the caller's to remove. NOT_FOUND: the repository lacks the ref or the
 * folder; DATA_LOSS: the ref is another commit than the address says; UNAVAILABLE: git's own words.
 */
export async function fetchRepository(address: GitAddress, place: string, access: RemoteAccess): Promise<Repository> {
  await mkdir(place, { mode: 0o700 })
  const options: GitOptions = {
    ...{ folder: place, signal: access.signal },
    agent: Object.hasOwn(access.agents, 'default') ? access.agents.default : undefined,
    authorization: authorization(address.url, access.secrets),
  }
  const run = (...args: string[]) => git(args, options)
  await run('init', '--quiet')
  await run('remote', 'add', '--', 'origin', address.url)
  const commit = await fetchCommit(address, run)
  if (!commit.startsWith(address.commit))
    throw dataLoss(
      `"${withoutPassword(address.url)}" at ${address.ref || 'HEAD'} is commit ${commit}, not ${address.commit}`,
    )
  await run('checkout', '--quiet', '--force', '--detach', commit)
  const hasSubmodules = (await new DirectorySource(place).at('/.gitmodules'))?.type === 'file'
  if (address.submodules && hasSubmodules)
    await run('submodule', '--quiet', 'update', '--init', '--recursive', '--depth=1')
  // What is kept is for an image: no password goes into it.
  if (address.keepGitDir) await run('remote', 'set-url', '--', 'origin', withoutPassword(address.url))
  else await rm(join(place, '.git'), { recursive: true })
  return { tree: await treeOf(address, place, commit), commit }
}

type Run = (...args: string[]) => Promise<string>

/** Its history is left out where the server can do so; a commit's short id is only found among all of them. */
async function fetchCommit({ url, ref, commit }: GitAddress, run: Run): Promise<string> {
  const isShort = /^[0-9a-f]{4,39}$/.test(ref)
  try {
    await run('fetch', '--quiet', '--depth=1', '--no-tags', 'origin', wanted(ref, commit))
    return (await run('rev-parse', '--verify', 'FETCH_HEAD^{commit}')).trim()
  } catch (error) {
    if (!isGantryError(error, 'UNAVAILABLE')) throw error
    const isUnknown = /couldn't find remote ref/.test(error.message)
    if (isUnknown && !isShort) throw notFound(`"${ref}" in the repository "${withoutPassword(url)}"`, { cause: error })
    const canBeElsewhere = isShort || /shallow|not our ref|unadvertised|not advertised/i.test(error.message)
    if (!canBeElsewhere) throw error
  }
  await run('fetch', '--quiet', '--tags', 'origin', '+refs/heads/*:refs/remotes/origin/*')
  if (ref === '') await run('remote', 'set-head', 'origin', '--auto')
  for (const name of ref === '' ? ['origin/HEAD'] : [ref, `origin/${ref}`]) {
    const found = await run('rev-parse', '--verify', '--end-of-options', `${name}^{commit}`).catch(() => '')
    if (found !== '') return found.trim().split('\n').at(-1) as string
  }
  throw notFound(`"${ref}" in the repository "${withoutPassword(url)}"`)
}

/** A full commit is asked for by itself: what a branch was then is not what it is now. */
function wanted(ref: string, commit: string): string {
  if (ref !== '') return ref
  return commit.length === 40 || commit.length === 64 ? commit : 'HEAD'
}

async function treeOf({ folder, url, keepGitDir }: GitAddress, place: string, commit: string): Promise<SourceTree> {
  const whole = new DirectorySource(place)
  const path = await resolvePath(whole, folder)
  if (posix.relative('/', path).split('/')[0] === '.git')
    throw invalidArgument(`"${folder}" is git's own folder, and no part of the repository "${withoutPassword(url)}"`)
  const found = await whole.at(path)
  if (found?.type !== 'directory')
    throw notFound(`folder "${folder.slice(1)}" in the repository "${withoutPassword(url)}"`)
  return new RepositoryTree(new DirectorySource(join(place, path)), { commit, keepGitDir })
}

/** INVALID_ARGUMENT for a header that would be two. */
function authorization(url: string, secrets: RemoteAccess['secrets']): GitOptions['authorization'] {
  if (!/^https?:/.test(url)) return undefined
  const { host, origin } = new URL(url)
  const secret = (name: string) => {
    const found = [`${name}.${host}`, name].find(id => Object.hasOwn(secrets, id))
    return found === undefined
      ? undefined
      : Buffer.from(secrets[found] as Uint8Array)
          .toString()
          .trim()
  }
  const token = secret('GIT_AUTH_TOKEN')
  const basic = token && `basic ${Buffer.from(`x-access-token:${token}`).toString('base64')}`
  const value = secret('GIT_AUTH_HEADER') ?? basic
  if (value === undefined) return undefined
  if (/[\r\n]/.test(value)) throw invalidArgument('secret GIT_AUTH_HEADER holds more than one line')
  return { address: `${origin}/`, header: `Authorization: ${value}` }
}
