/** Requests about how fast a link may send: a token bucket at its root, tc-tbf(8). */
import { attributes, type RtRequest } from './message.ts'

const RTM = { newQdisc: 36, delQdisc: 37 } as const
const NLM_F = { replace: 0x100, create: 0x400 } as const
const TC_H_ROOT = 0xffff_ffff
/** `1:`, in whose stead a repeat is a change of the same bucket. */
const handle = 0x1_0000
const TCA = { kind: 1, options: 2 } as const
const TBF = { parms: 1, rate64: 4, burst: 6 } as const
const TC_LINKLAYER_ETHERNET = 1

/** What may be sent at once after a pause: so long at the full rate, but room for a few frames at least. */
const burstSeconds = 0.01
const leastBurstBytes = 16 * 1024
/** What waits longer than this is dropped, so that the sender slows down. */
const queueSeconds = 0.05
const leastQueueBytes = 64 * 1024

/** From now on the link sends at most so many bits in a second; idempotent, and changes an earlier limit. ENODEV: no such link. */
export function limitRate(index: number, bitsPerSecond: number): RtRequest {
  const bytes = Math.max(1, Math.floor(bitsPerSecond / 8))
  const burst = Math.max(Math.ceil(bytes * burstSeconds), leastBurstBytes)
  const queue = Math.max(Math.ceil(bytes * queueSeconds), leastQueueBytes)
  const options = attributes(
    [TBF.parms, tbfParameters(bytes, Math.min(burst + queue, 0xffff_ffff))],
    [TBF.rate64, u64(BigInt(bytes))],
    [TBF.burst, u32(burst)],
  )
  const kind = attributes([TCA.kind, Buffer.from('tbf\0')], [TCA.options, options])
  const body = Buffer.concat([header(index, handle), kind])
  return { type: RTM.newQdisc, flags: NLM_F.create | NLM_F.replace, body, what: `limit the rate of link ${index}` }
}

/** Takes the limit away. ENOENT, EINVAL: there is none. */
export function unlimitRate(index: number): RtRequest {
  return { type: RTM.delQdisc, flags: 0, body: header(index, 0), what: `unlimit the rate of link ${index}` }
}

/** struct tcmsg. */
function header(index: number, own: number): Buffer {
  const bytes = Buffer.alloc(20)
  bytes.writeInt32LE(index, 4)
  bytes.writeUInt32LE(own, 8)
  bytes.writeUInt32LE(TC_H_ROOT, 12)
  return bytes
}

/** struct tc_tbf_qopt: rate and (none) peak rate as tc_ratespec, the queue's bytes; the burst has its own attribute. */
function tbfParameters(bytesPerSecond: number, limitBytes: number): Buffer {
  const bytes = Buffer.alloc(36)
  bytes.writeUInt8(TC_LINKLAYER_ETHERNET, 1)
  bytes.writeUInt32LE(Math.min(bytesPerSecond, 0xffff_ffff), 8)
  bytes.writeUInt32LE(limitBytes, 24)
  return bytes
}

function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32LE(value)
  return bytes
}

function u64(value: bigint): Buffer {
  const bytes = Buffer.alloc(8)
  bytes.writeBigUInt64LE(value)
  return bytes
}
