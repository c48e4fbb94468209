/**
 * The part of nf_tables' netlink protocol that changes and reads set elements (linux/netfilter/nf_tables.h).
 * npm's `netlink` frames messages and attributes; it does not know this family.
 */
import { parseAttributes, parseMessage, putString } from 'netlink/dist/structs.js'
import { isSysError, netlinkRequest } from '#api/sys/sys.ts'
import {
  attributes,
  frame,
  NETLINK_NETFILTER,
  NFNL_SUBSYS_NFTABLES,
  NFPROTO_INET,
  nfgen,
  sendBatch,
} from './messages.ts'

/** enum nf_tables_msg_types. */
export const MSG = {
  getTable: 1,
  deleteTable: 2,
  getChain: 4,
  deleteChain: 5,
  getRule: 7,
  deleteRule: 8,
  getSet: 10,
  deleteSet: 11,
  newElements: 12,
  getElements: 13,
  deleteElements: 14,
} as const
const NLM_F = { request: 0x1, ack: 0x4, dump: 0x300, create: 0x400 } as const

const TABLE_NAME = 1
const CHAIN_NAME = 3
const RULE_CHAIN = 2
const SET_NAME = 2
const LIST = { table: 1, set: 2, elements: 3, element: 1 } as const
const ELEMENT = { key: 1, data: 2, flags: 3, timeout: 4, expiration: 5, expression: 7, keyEnd: 10 } as const
const EXPRESSION_DATA = 2
const COUNTER_PACKETS = 2
const DATA_VALUE = 1
const INTERVAL_END = 1

/** A netlink attribute's length is 16 bits, and so bounds the elements of one message. */
const elementsPerMessage = 400

/** An element as the kernel keeps it. */
export interface SetElement {
  /** Concatenated fields, each padded to four bytes. */
  readonly key: Buffer
  /** Last key of a range, in sets of concatenated ranges. */
  readonly keyEnd?: Buffer
  /** What a map answers. */
  readonly data?: Buffer
  /** In sets of plain ranges, a range is two elements: its first address, and the one behind its last, marked. */
  readonly intervalEnd?: boolean
  /** It goes by itself after so long, in sets with timeouts. */
  readonly timeoutMs?: number
  /** As read: how long it still has. */
  readonly expiresMs?: number
  /** As read, in sets with counters: packets that found it. */
  readonly packets?: bigint
}

export interface ElementChange {
  readonly verb: 'add' | 'delete'
  readonly set: string
  readonly elements: readonly SetElement[]
}

/**
 * One transaction. An element that is there already, with the same data, is no error; EEXIST or EBUSY: with other data.
 * ENOENT: no such table or set, or (deleting) element.
 */
export async function changeElements(table: string, changes: readonly ElementChange[]): Promise<void> {
  const messages = changes.flatMap(({ verb, set, elements }) => {
    const type = verb === 'add' ? MSG.newElements : MSG.deleteElements
    const flags = verb === 'add' ? NLM_F.create : 0
    return chunks(elements).map(chunk => ({ type, flags, body: elementList(table, set, chunk) }))
  })
  if (messages.length > 0) await sendBatch(messages)
}

/** ENOENT: there is none. `netns`: where; absent: the process' own namespace. */
export async function deleteTable(table: string, at: { family?: number; netns?: string } = {}): Promise<void> {
  await sendBatch([{ type: MSG.deleteTable, flags: 0, body: attributes([TABLE_NAME, putString(table)]) }], at)
}

export interface TableName {
  /** NFPROTO_*: the same name may be used once in each. */
  readonly family: number
  readonly name: string
}

/** All tables, of every family. */
export async function listTables(where: { netns?: string } = {}): Promise<TableName[]> {
  const message = frame((NFNL_SUBSYS_NFTABLES << 8) | MSG.getTable, NLM_F.dump, 1, nfgen(0, 0))
  const answers = await netlinkRequest(NETLINK_NETFILTER, message, where)
  return answers.map(answer => {
    const body = Buffer.from(parseMessage(answer).x.data)
    return { family: body[0] ?? 0, name: textOf(read(body.subarray(4)).get(TABLE_NAME)) }
  })
}

/** All elements of a set or map. ENOENT: no such table or set. */
export async function listElements(table: string, set: string, family = NFPROTO_INET): Promise<SetElement[]> {
  const wanted = attributes([LIST.table, putString(table)], [LIST.set, putString(set)])
  const answers = await request(MSG.getElements, NLM_F.dump, wanted, family)
  return answers.flatMap(body => {
    const found: SetElement[] = []
    parseAttributes(read(body).get(LIST.elements) ?? Buffer.alloc(0), ({ data }) => found.push(readElement(data)))
    return found
  })
}

/** What a table is made of, by name; a rule by the name of its chain. */
export interface TableParts {
  readonly chains: readonly string[]
  readonly rules: readonly string[]
  readonly sets: readonly string[]
}

/** Nothing of each when the table is not there. */
export async function listParts(table: string): Promise<TableParts> {
  const names = async (type: number, attribute: number) => {
    const named = attributes([TABLE_NAME, putString(table)])
    const answers = await request(type, NLM_F.dump, named).catch(error => {
      if (isSysError(error, 'ENOENT')) return []
      throw error
    })
    const own = answers.map(read).filter(found => textOf(found.get(TABLE_NAME)) === table)
    return own.map(found => textOf(found.get(attribute)))
  }
  return {
    chains: await names(MSG.getChain, CHAIN_NAME),
    rules: await names(MSG.getRule, RULE_CHAIN),
    sets: await names(MSG.getSet, SET_NAME),
  }
}

async function request(type: number, flags: number, body: Buffer, family = NFPROTO_INET): Promise<Buffer[]> {
  const message = frame((NFNL_SUBSYS_NFTABLES << 8) | type, flags, 1, nfgen(family, 0), body)
  const answers = await netlinkRequest(NETLINK_NETFILTER, message)
  return answers.map(answer => Buffer.from(parseMessage(answer).x.data.subarray(4)))
}

function elementList(table: string, set: string, elements: readonly SetElement[]): Buffer {
  return attributes(
    [LIST.table, putString(table)],
    [LIST.set, putString(set)],
    [LIST.elements, attributes(...elements.map(element => [LIST.element, encodeElement(element)] as const))],
  )
}

function encodeElement(element: SetElement): Buffer {
  const { key, keyEnd, data, intervalEnd, timeoutMs } = element
  if (data && !keyEnd && !intervalEnd && timeoutMs === undefined) return encodeMapping(key, data)
  return attributes(
    [ELEMENT.key, value(key)],
    ...(keyEnd ? [[ELEMENT.keyEnd, value(keyEnd)] as const] : []),
    ...(data ? [[ELEMENT.data, value(data)] as const] : []),
    ...(intervalEnd ? [[ELEMENT.flags, Buffer.from([0, 0, 0, INTERVAL_END])] as const] : []),
    ...(timeoutMs === undefined ? [] : [[ELEMENT.timeout, wide(timeoutMs)] as const]),
  )
}

/** Key and data alone, in one piece: there are tens of thousands of these. Their lengths are multiples of four. */
function encodeMapping(key: Buffer, data: Buffer): Buffer {
  const bytes = Buffer.allocUnsafe(16 + key.length + data.length)
  putNested(bytes, 0, ELEMENT.key, key)
  putNested(bytes, 8 + key.length, ELEMENT.data, data)
  return bytes
}

/** An attribute that holds one attribute: NFTA_DATA_VALUE. */
function putNested(into: Buffer, at: number, type: number, content: Buffer): void {
  into.writeUInt16LE(8 + content.length, at)
  into.writeUInt16LE(type, at + 2)
  into.writeUInt16LE(4 + content.length, at + 4)
  into.writeUInt16LE(DATA_VALUE, at + 6)
  content.copy(into, at + 8)
}

function readElement(bytes: Buffer): SetElement {
  const found = read(bytes)
  const inner = (type: number) => {
    const outer = found.get(type)
    return outer && read(outer).get(DATA_VALUE)
  }
  const [keyEnd, data] = [inner(ELEMENT.keyEnd), inner(ELEMENT.data)]
  const [expiration, packets] = [found.get(ELEMENT.expiration), packetsOf(found.get(ELEMENT.expression))]
  return {
    key: inner(ELEMENT.key) ?? Buffer.alloc(0),
    ...(keyEnd ? { keyEnd } : {}),
    ...(data ? { data } : {}),
    ...(expiration ? { expiresMs: Number(expiration.readBigUInt64BE()) } : {}),
    ...(packets === undefined ? {} : { packets }),
    ...(((found.get(ELEMENT.flags)?.readUInt32BE() ?? 0) & INTERVAL_END) === 0 ? {} : { intervalEnd: true }),
  }
}

/** Of a counter; undefined: no expression, or another one. */
function packetsOf(expression: Buffer | undefined): bigint | undefined {
  const data = expression && read(expression).get(EXPRESSION_DATA)
  const packets = data && read(data).get(COUNTER_PACKETS)
  return packets?.length === 8 ? packets.readBigUInt64BE() : undefined
}

function wide(value: number): Buffer {
  const bytes = Buffer.alloc(8)
  bytes.writeBigUInt64BE(BigInt(Math.round(value)))
  return bytes
}

function value(bytes: Buffer): Buffer {
  return attributes([DATA_VALUE, bytes])
}

function read(bytes: Buffer): Map<number, Buffer> {
  const found = new Map<number, Buffer>()
  parseAttributes(bytes, ({ type, data }) => found.set(type, data))
  return found
}

function textOf(bytes: Buffer | undefined): string {
  return bytes?.toString('utf8').replace(/\0$/, '') ?? ''
}

function chunks<T>(items: readonly T[]): T[][] {
  const count = Math.ceil(items.length / elementsPerMessage)
  return Array.from({ length: count }, (_, i) => items.slice(i * elementsPerMessage, (i + 1) * elementsPerMessage))
}
