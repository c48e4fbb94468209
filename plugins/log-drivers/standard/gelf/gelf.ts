/** The gelf driver: Graylog's format 1.1, over UDP in chunks or TCP (docs of Graylog, "GELF Payload Specification"). */
import { randomBytes } from 'node:crypto'
import { promisify } from 'node:util'
import { deflate, gzip } from 'node:zlib'
import { resourceExhausted } from '#api/errors/errors.ts'
import { type GelfSettings, parseGelfOptions } from '#api/log-drivers/gelf-options.ts'
import { ByteStream } from '../byte-stream.ts'
import { type Carrier, type Identity, type OutLine, severityOf } from '../carrier.ts'
import { UdpSender } from '../datagrams.ts'

/** What fits into a datagram on most ways. */
const chunkBytes = 1420
const chunkHeaderBytes = 12
const maxChunks = 128
const magic = [0x1e, 0x0f]

export async function openGelf(identity: Identity): Promise<Carrier> {
  const settings = parseGelfOptions(identity.source.options)
  return settings.transport === 'udp' ? await overUdp(identity, settings) : overTcp(identity, settings)
}

export function gelfMessage(line: OutLine, { source, subject, tag, extra, host }: Identity): string {
  const created = source.subject?.createdAt
  return JSON.stringify({
    version: '1.1',
    host,
    short_message: line.text,
    timestamp: line.at.getTime() / 1000,
    level: severityOf(line),
    _container_id: subject.id,
    _container_name: subject.name,
    _image_id: subject.imageId,
    _image_name: subject.imageName,
    _command: source.subject?.command ?? '',
    _tag: tag,
    _created: created ? new Date(Number(created.seconds) * 1000 + Math.floor(created.nanos / 1e6)).toISOString() : '',
    ...Object.fromEntries(Object.entries(extra).map(([key, value]) => [`_${key}`, value])),
  })
}

async function overUdp(identity: Identity, { host, port, compression }: GelfSettings): Promise<Carrier> {
  const sender = await UdpSender.open(host, port)
  return {
    async send(lines) {
      for (const line of lines) {
        const message = Buffer.from(gelfMessage(line, identity))
        for (const datagram of chunksOf(await compressed(message, compression))) await sender.send(datagram)
      }
    },
    close: async () => sender.close(),
  }
}

/** Each message ends in a zero byte. */
function overTcp(identity: Identity, { host, port }: GelfSettings): Carrier {
  const stream = new ByteStream({ to: { host, port } })
  return {
    send: lines => stream.write(Buffer.from(lines.map(line => `${gelfMessage(line, identity)}\0`).join(''))),
    close: () => stream.close(),
  }
}

async function compressed(message: Buffer, { type, level }: GelfSettings['compression']): Promise<Buffer> {
  if (type === 'none') return message
  return await (type === 'gzip' ? promisify(gzip) : promisify(deflate))(message, { level })
}

export function chunksOf(message: Buffer): Buffer[] {
  if (message.length <= chunkBytes) return [message]
  const payload = chunkBytes - chunkHeaderBytes
  const count = Math.ceil(message.length / payload)
  if (count > maxChunks) throw resourceExhausted(`a GELF message of ${message.length} bytes: more than 128 chunks`)
  const id = randomBytes(8)
  return Array.from({ length: count }, (_, index) =>
    Buffer.concat([
      Buffer.from(magic),
      id,
      Buffer.from([index, count]),
      message.subarray(index * payload, (index + 1) * payload),
    ]),
  )
}
