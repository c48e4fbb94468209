/**
 * Addresses of git repositories as contexts and ADD name them:
 *
 * ```
 * https://host/path.git#ref:folder          git@host:path.git#ref         ssh://git@host/path     git://host/path
 * https://host/path.git?tag=v1&subdir=folder&commit=0123abcd&keep-git-dir=true&submodules=false
 * ```
 *
 * https://docs.docker.com/build/concepts/context/#git-repositories
 */
import { posix } from 'node:path'
import { invalidArgument } from '#api/errors/errors.ts'

export interface GitAddress {
  /** What git is given: no fragment, no query. */
  readonly url: string
  /** Branch, tag, full ref name or commit; empty: the default branch. */
  readonly ref: string
  /** Absolute path in the repository that is the tree's root. */
  readonly folder: string
  /** How the commit's id must begin; empty: any. */
  readonly commit: string
  readonly keepGitDir: boolean
  readonly submodules: boolean
}

const scp = /^[A-Za-z0-9_][\w.-]*@[A-Za-z0-9][\w.-]*:(?!\/\/).+/
const always = /^(?:git|ssh):\/\//
const overHttp = /^https?:\/\/[^?#]+\.git(?:[?#]|$)/
/** What git-check-ref-format(1) allows, roughly; never an option. */
const refPattern = /^[^\s~^:?*[\\\p{Cc}-][^\s~^:?*[\\\p{Cc}]*$/u

/** Undefined for what is no repository's. INVALID_ARGUMENT: it is one, and a part of it cannot be read. */
export function gitAddress(text: string): GitAddress | undefined {
  if (text.startsWith('file://')) throw invalidArgument(`"${text}": repositories of this machine are not for builds`)
  if (!always.test(text) && !overHttp.test(text) && !scp.test(text)) return undefined
  const { address, fragment } = cut(text)
  const at = address.indexOf('?')
  const url = at < 0 ? address : address.slice(0, at)
  const query = at < 0 ? '' : address.slice(at + 1)
  if (query !== '' && fragment !== '')
    throw invalidArgument(`"${text}" has both a query and a fragment: give the ref and the folder in one of them`)
  return checked(text, { url, ...(query === '' ? fromFragment(fragment) : fromQuery(text, query)) })
}

/** The same for a context, where `github.com/user/repository` means one as well. */
export function contextAddress(text: string): GitAddress | undefined {
  return gitAddress(text.startsWith('github.com/') ? hosted(text) : text)
}

/** An address without the password in it, for messages. */
export function withoutPassword(text: string): string {
  return text.replaceAll(/(\w+:\/\/)[^\s/@]*@/g, '$1')
}

function hosted(text: string): string {
  const { address, fragment } = cut(text)
  return `https://${address.replace(/(?:\.git)?$/, '.git')}${fragment === '' ? '' : `#${fragment}`}`
}

function cut(text: string): { address: string; fragment: string } {
  const at = text.indexOf('#')
  return at < 0 ? { address: text, fragment: '' } : { address: text.slice(0, at), fragment: text.slice(at + 1) }
}

const nothingSaid = { ref: '', folder: '/', commit: '', keepGitDir: false, submodules: true }

function fromFragment(fragment: string): Omit<GitAddress, 'url'> {
  const [ref = '', ...folder] = fragment.split(':')
  return { ...nothingSaid, ref, folder: posix.resolve('/', folder.join(':')) }
}

const queryNames = ['ref', 'branch', 'tag', 'subdir', 'commit', 'checksum', 'keep-git-dir', 'submodules']

function fromQuery(text: string, query: string): Omit<GitAddress, 'url'> {
  const given = new URLSearchParams(query)
  const stranger = [...given.keys()].find(name => !queryNames.includes(name))
  if (stranger !== undefined)
    throw invalidArgument(`"${text}": unexpected query "${stranger}": there are ${queryNames.join(', ')}`)
  const refs = [
    given.get('ref'),
    prefixed('refs/heads/', given.get('branch')),
    prefixed('refs/tags/', given.get('tag')),
  ]
  const named = refs.filter(ref => ref !== null && ref !== '')
  if (named.length > 1) throw invalidArgument(`"${text}": give one of ref, branch and tag`)
  return {
    ref: named[0] ?? '',
    folder: posix.resolve('/', given.get('subdir') ?? ''),
    commit: given.get('checksum') ?? given.get('commit') ?? '',
    keepGitDir: isSet(given.get('keep-git-dir'), false),
    submodules: isSet(given.get('submodules'), true),
  }
}

function prefixed(prefix: string, name: string | null): string | null {
  return name === null || name === '' ? null : prefix + name
}

function isSet(value: string | null, otherwise: boolean): boolean {
  return value === null ? otherwise : value === '' || value === 'true' || value === '1'
}

function checked(text: string, address: GitAddress): GitAddress {
  if (address.ref !== '' && !refPattern.test(address.ref))
    throw invalidArgument(`"${text}": "${address.ref}" is not the name of a branch, a tag or a commit`)
  if (address.commit !== '' && !/^[0-9a-f]{1,64}$/.test(address.commit))
    throw invalidArgument(`"${text}": "${address.commit}" is not a commit's id in lower-case hex digits`)
  return address
}
