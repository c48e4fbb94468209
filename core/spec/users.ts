/**
 * Who a process runs as: "uid", "user", "uid:gid" or "user:group", looked up in the container's own passwd(5) and
 * group(5). Docker's rules: a number needs no entry; without a group it is the entry's, else 0; a user found by the
 * text gets the supplementary groups that list it, unless a group was named.
 */
import { invalidArgument } from '#api/errors/errors.ts'

export interface AccountFiles {
  /** Text of /etc/passwd; empty when the image has none. */
  passwd: string
  group: string
}

export interface ResolvedUser {
  uid: number
  gid: number
  additionalGids: number[]
  /** Home directory of the entry; "/" without one. */
  home: string
}

interface PasswdEntry {
  name: string
  uid: number
  gid: number
  home: string
}

interface GroupEntry {
  name: string
  gid: number
  members: string[]
}

/** The highest id the kernel takes: 2^32-1 means "unchanged". */
const highestId = 0xffff_fffe

/** INVALID_ARGUMENT names the user or group that the files do not know. */
export function resolveUser(text: string, additionalGroups: readonly string[], files: AccountFiles): ResolvedUser {
  const [userText = '', groupText] = splitOnce(text)
  const groups = parseGroup(files.group)
  const entry = findUser(userText || '0', parsePasswd(files.passwd))
  const uid = entry?.uid ?? parseId('user', userText || '0')
  const gid = groupText ? findGroup(groupText, groups) : (entry?.gid ?? 0)
  const listed =
    entry && !groupText ? groups.filter(group => group.members.includes(entry.name)).map(group => group.gid) : []
  const asked = additionalGroups.map(name => findGroup(name, groups))
  return { uid, gid, additionalGids: unique([...listed, ...asked]), home: entry?.home || '/' }
}

function splitOnce(text: string): [string, string | undefined] {
  const colon = text.indexOf(':')
  return colon < 0 ? [text, undefined] : [text.slice(0, colon), text.slice(colon + 1)]
}

function findUser(text: string, entries: PasswdEntry[]): PasswdEntry | undefined {
  return entries.find(entry => entry.name === text) ?? entries.find(entry => String(entry.uid) === text)
}

function findGroup(text: string, groups: GroupEntry[]): number {
  return groups.find(group => group.name === text)?.gid ?? parseId('group', text)
}

function parseId(kind: 'user' | 'group', text: string): number {
  if (!/^\d{1,10}$/.test(text))
    throw invalidArgument(
      `unable to find ${kind} ${text}: no matching entry in the image's ${kind === 'user' ? 'passwd' : 'group'} file`,
    )
  const id = Number(text)
  if (id > highestId) throw invalidArgument(`${kind} id ${text} is above ${highestId}`)
  return id
}

function parsePasswd(text: string): PasswdEntry[] {
  return lines(text).flatMap(([name = '', , uid = '', gid = '', , home = '']) =>
    isId(uid) && isId(gid) ? [{ name, uid: Number(uid), gid: Number(gid), home }] : [],
  )
}

function parseGroup(text: string): GroupEntry[] {
  return lines(text).flatMap(([name = '', , gid = '', members = '']) =>
    isId(gid) ? [{ name, gid: Number(gid), members: members.split(',') }] : [],
  )
}

function lines(text: string): string[][] {
  return text
    .split('\n')
    .map(line => line.trim())
    .filter(line => line !== '' && !line.startsWith('#'))
    .map(line => line.split(':'))
}

function isId(text: string): boolean {
  return /^\d{1,10}$/.test(text) && Number(text) <= highestId
}

function unique(ids: number[]): number[] {
  return [...new Set(ids)]
}
