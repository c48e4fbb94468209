/** Turns a query into an answer of ours, or into the wish to ask elsewhere. Pure but for the directory it reads. */
import * as packet from 'dns-packet'
import type { AttachmentRow } from '../ledger.ts'
import { type Directory, reversedAddress } from './directory.ts'

/** Seconds; Docker's. A container that moves gets another address only when it starts anew. */
const ttl = 600
/** RFC 1035 4.2.1: without EDNS a datagram holds no more. */
const plainUdpBytes = 512
const rcodeMask = 15
const refused = { notImplemented: 4, formatError: 1, serverFailure: 2, refused: 5 } as const

export interface Query {
  readonly bytes: Buffer
  readonly message: packet.DecodedPacket
  /** The largest datagram that the client takes. */
  readonly udpBytes: number
}

/** Undefined: no query at all, not worth an answer. */
export function readQuery(bytes: Buffer): Query | undefined {
  try {
    const message = packet.decode(bytes)
    if (message.type !== 'query') return undefined
    const edns = message.additionals?.find(record => record.type === 'OPT') as packet.OptAnswer | undefined
    return { bytes, message, udpBytes: Math.max(edns?.udpPayloadSize ?? 0, plainUdpBytes) }
  } catch {
    return undefined
  }
}

/** The name asked for; empty: none. */
export function askedName({ message }: Query): string {
  return message.questions?.[0]?.name ?? ''
}

/** What we know ourselves about a query of a container's; undefined: others must be asked. */
export function ownAnswer(directory: Directory, rows: readonly AttachmentRow[], query: Query): Buffer | undefined {
  const { questions = [], flags = 0 } = query.message
  if (questions.length !== 1) return failure(query, 'formatError')
  if (((flags >> 11) & 15) !== 0) return failure(query, 'notImplemented')
  const [question] = questions
  if (question === undefined || (question.class !== 'IN' && question.class !== 'ANY')) return undefined
  const views = directory.viewsOf(rows)
  if (views.length === 0) return undefined
  const name = question.name.replace(/\.$/, '')
  const reversed = question.type === 'PTR' ? reversedAddress(name) : undefined
  if (reversed !== undefined) {
    const found = directory.nameOf(views, reversed)
    return found === undefined ? undefined : answer(query, [{ type: 'PTR', name: question.name, ttl, data: found }])
  }
  const [four, six] = [directory.lookUp(views, name, 4), directory.lookUp(views, name, 6)]
  // A name of ours is ours for every type: elsewhere it is either unknown or somebody else's.
  if (four === undefined && six === undefined) return undefined
  const wants = (type: string) => question.type === type || (question.type as string) === 'ANY'
  return answer(query, [
    ...(wants('A') ? (four ?? []).map(data => ({ type: 'A' as const, name: question.name, ttl, data })) : []),
    ...(wants('AAAA') ? (six ?? []).map(data => ({ type: 'AAAA' as const, name: question.name, ttl, data })) : []),
  ])
}

function answer(query: Query, answers: packet.Answer[]): Buffer {
  return encode(query, answers, packet.AUTHORITATIVE_ANSWER)
}

export function failure(query: Query, reason: keyof typeof refused): Buffer {
  return encode(query, [], refused[reason])
}

function encode({ message }: Query, answers: packet.Answer[], flags: number): Buffer {
  const hasEdns = message.additionals?.some(record => record.type === 'OPT') ?? false
  const opt = { type: 'OPT', name: '.', udpPayloadSize: 4096, flags: 0, ednsVersion: 0, extendedRcode: 0, options: [] }
  return packet.encode({
    type: 'response',
    id: message.id ?? 0,
    flags: flags | packet.RECURSION_AVAILABLE | ((message.flags ?? 0) & packet.RECURSION_DESIRED),
    questions: message.questions ?? [],
    answers,
    additionals: hasEdns ? [opt as unknown as packet.Answer] : [],
  })
}

/** An answer too large for the client's datagram is cut to its question, marked so that the client asks by TCP. */
export function fitDatagram(query: Query, response: Buffer): Buffer {
  if (response.length <= query.udpBytes) return response
  const flags = response.readUInt16BE(2) & (packet.AUTHORITATIVE_ANSWER | rcodeMask)
  return encode(query, [], flags | packet.TRUNCATED_RESPONSE)
}
