/** The fluentd driver: the forward protocol, version 1 (fluent's wiki, "Forward Protocol Specification v1"). */
import { randomBytes } from 'node:crypto'
import { decode, Encoder, ExtData } from '@msgpack/msgpack'
import { nanosecondsOf } from '#api/container-log/log-lines.ts'
import { unavailable } from '#api/errors/errors.ts'
import { type FluentdSettings, parseFluentdOptions } from '#api/log-drivers/fluentd-options.ts'
import { ByteStream } from '../byte-stream.ts'
import type { Carrier, Identity, OutLine } from '../carrier.ts'

const ackMs = 30_000
/** Of the EventTime extension. */
const eventTimeType = 0

export async function openFluentd(identity: Identity): Promise<Carrier> {
  const settings = parseFluentdOptions(identity.source.options)
  const stream = new ByteStream(targetOf(settings))
  const encoder = new Encoder()
  return {
    async send(lines) {
      const chunk = randomBytes(16).toString('base64')
      const entries = lines.map(line => [timeOf(line, settings), recordOf(line, identity)])
      const option = { size: entries.length, ...(settings.requestAck && { chunk }) }
      await stream.write(encoder.encode([identity.tag, entries, option]))
      if (settings.requestAck) await confirmed(stream, chunk)
    },
    close: () => stream.close(),
  }
}

function targetOf({ target }: FluentdSettings) {
  if ('path' in target) return { to: { path: target.path } }
  const { host, port, isTls } = target
  return { to: { host, port }, ...(isTls && { tls: {} }) }
}

/** What was not confirmed is sent again, over another connection. */
async function confirmed(stream: ByteStream, chunk: string): Promise<void> {
  try {
    const { ack } = decode(await stream.read(ackMs)) as { ack?: string }
    if (ack !== chunk) throw unavailable(`fluentd confirmed chunk "${ack}" instead of "${chunk}"`)
  } catch (error) {
    stream.drop()
    throw error
  }
}

function timeOf({ time }: OutLine, { subSecond }: FluentdSettings): number | ExtData {
  const nanoseconds = nanosecondsOf(time)
  const seconds = Number(nanoseconds / 1_000_000_000n)
  if (!subSecond) return seconds
  const bytes = Buffer.alloc(8)
  bytes.writeUInt32BE(seconds, 0)
  bytes.writeUInt32BE(Number(nanoseconds % 1_000_000_000n), 4)
  return new ExtData(eventTimeType, bytes)
}

export function recordOf({ stream, text, piece }: OutLine, { subject, extra }: Identity): Record<string, string> {
  return {
    container_id: subject.id,
    container_name: `/${subject.name}`,
    source: stream,
    log: text,
    ...extra,
    ...(piece && {
      partial_message: 'true',
      partial_id: piece.id,
      partial_ordinal: String(piece.ordinal),
      partial_last: String(piece.isLast),
    }),
  }
}
