/** The journald driver: the journal's own protocol (systemd.io/JOURNAL_NATIVE_PROTOCOL). */
import { sendDatagrams } from '#api/sys/sys.ts'
import { type Carrier, type Identity, type OutLine, severityOf } from '../carrier.ts'
import type { DriverPlace } from '../log-drivers.ts'

export async function openJournald(identity: Identity, { config }: DriverPlace): Promise<Carrier> {
  return {
    send: lines =>
      sendDatagrams(
        config.journal_socket,
        lines.map(line => encodeFields(fieldsOf(line, identity))),
      ),
    close: async () => {},
  }
}

export function fieldsOf(line: OutLine, { subject, tag, extra }: Identity): Record<string, string> {
  return {
    MESSAGE: line.text,
    PRIORITY: String(severityOf(line)),
    CONTAINER_ID: subject.id.slice(0, 12),
    CONTAINER_ID_FULL: subject.id,
    CONTAINER_NAME: subject.name,
    CONTAINER_TAG: tag,
    IMAGE_NAME: subject.imageName,
    SYSLOG_IDENTIFIER: tag,
    SYSLOG_TIMESTAMP: line.time,
    ...Object.fromEntries(Object.entries(extra).map(([key, value]) => [fieldName(key), value])),
    ...(line.piece && {
      CONTAINER_PARTIAL_ID: line.piece.id,
      CONTAINER_PARTIAL_ORDINAL: String(line.piece.ordinal),
      CONTAINER_PARTIAL_LAST: String(line.piece.isLast),
      ...(!line.piece.isLast && { CONTAINER_PARTIAL_MESSAGE: 'true' }),
    }),
  }
}

/** Names of fields are upper case, digits and `_`, and none of the journal's own begins like them. */
const fieldName = (key: string) =>
  key
    .toUpperCase()
    .replace(/[^A-Z0-9]/g, '_')
    .replace(/^_+/, '')

/** A value with a line feed goes after its length. */
export function encodeFields(fields: Readonly<Record<string, string>>): Buffer {
  return Buffer.concat(
    Object.entries(fields).map(([name, value]) => {
      if (!value.includes('\n')) return Buffer.from(`${name}=${value}\n`)
      const bytes = Buffer.from(value)
      const length = Buffer.alloc(8)
      length.writeBigUInt64LE(BigInt(bytes.length))
      return Buffer.concat([Buffer.from(`${name}\n`), length, bytes, Buffer.from('\n')])
    }),
  )
}
