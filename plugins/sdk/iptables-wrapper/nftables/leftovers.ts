/**
 * What is in our table, or is a table of ours, and follows from nothing that is wished for. The kernel is asked first and
 * the wishes after it: what was made in between is wished for already when it is seen.
 */
import { isSysError } from '#api/sys/sys.ts'
import type { Leftover } from '../../leftover.ts'
import { addressFromBytes } from '../../network-addresses.ts'
import type { FirewallState } from '../firewall.ts'
import { readPort, setNames, stateElements } from './elements.ts'
import { familyNames, NFPROTO_INET } from './messages.ts'
import { deleteTable, listElements, listParts, listTables, type SetElement, type TableParts } from './nfnetlink.ts'

export interface LeftoverSearch {
  readonly table: string
  readonly state: () => FirewallState
  /** The table as the last load made it; undefined: this process has not loaded it yet. */
  readonly made: TableParts | undefined
  /** Replaces the whole table, in one transaction, by what the state asks for. */
  readonly restore: () => Promise<void>
}

export async function findLeftovers(search: LeftoverSearch): Promise<Leftover[]> {
  const tables = await listTables()
  const isThere = tables.some(({ family, name }) => family === NFPROTO_INET && name === search.table)
  const others = tables.filter(
    ({ family, name }) =>
      (name === search.table && family !== NFPROTO_INET) ||
      (name.startsWith(`${search.table}-`) && name !== `${search.table}-egress`),
  )
  const found = isThere ? await inTable(search) : []
  // One load takes all of them away.
  let restoring: Promise<void> | undefined
  const remove = () => (restoring ??= search.restore())
  return [
    ...found.map(what => ({ what, remove })),
    ...others.map(({ family, name }) => ({
      what: `firewall table ${familyNames[family] ?? family} ${name}`,
      remove: () => deleteTable(name, { family }).catch(ignoreMissing),
    })),
  ]
}

async function inTable({ table, state, made }: LeftoverSearch): Promise<string[]> {
  const listed: [string, SetElement[]][] = []
  for (const set of setNames) listed.push([set, await listElements(table, set).catch(() => [])])
  const parts = await listParts(table)
  const wanted = stateElements(state())
  const elements = listed.flatMap(([set, there]) => {
    const known = new Set((wanted.get(set) ?? []).map(textOf))
    return there.filter(element => !known.has(textOf(element))).flatMap(element => describe(set, element))
  })
  return [...elements, ...(made === undefined ? [] : partsBeyond(made, parts))]
}

/** More than the load made: somebody's, or an earlier version's. */
function partsBeyond(made: TableParts, parts: TableParts): string[] {
  const chains = parts.chains.filter(name => !made.chains.includes(name))
  const sets = parts.sets.filter(name => !made.sets.includes(name))
  const count = (rules: readonly string[], chain: string) => rules.filter(name => name === chain).length
  const grown = made.chains.filter(chain => count(parts.rules, chain) > count(made.rules, chain))
  return [
    ...chains.map(name => `firewall chain ${name}`),
    ...sets.map(name => `firewall set ${name}`),
    ...grown.map(name => `firewall rule of chain ${name}`),
  ]
}

function textOf({ key, keyEnd, data, intervalEnd }: SetElement): string {
  return [key, keyEnd, data].map(bytes => bytes?.toString('hex') ?? '').join(' ') + (intervalEnd ? ' end' : '')
}

/** Nothing for the far end of a plain range: its beginning says it. */
function describe(set: string, element: SetElement): string[] {
  if (element.intervalEnd) return []
  const port = readPort(element)
  if (port) return [`published port ${port.hostPort}/${port.protocol} (${set})`]
  return [`firewall element ${keyText(set, element.key)} of ${set}`]
}

/** An address first where the set's name ends with a family, then names of links. */
function keyText(set: string, key: Buffer): string {
  const addressBytes = set.endsWith('4') ? 4 : set.endsWith('6') ? 16 : 0
  const address = addressBytes === 0 ? [] : [addressFromBytes(key.subarray(0, addressBytes))]
  const links = key.subarray(addressBytes).toString('latin1').split('\0')
  return [...address, ...links.filter(name => name !== '')].join(' ')
}

function ignoreMissing(error: unknown): void {
  if (!isSysError(error, 'ENOENT')) throw error
}
