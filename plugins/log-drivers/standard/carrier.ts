/** One container's way out: what a log driver makes of a log. */
import { hostname } from 'node:os'
import { extraAttributes, type LogSubject, tagOf } from '#api/log-drivers/subject.ts'
import type { LogLine, LogSource } from '#sdk/define-log-sink.ts'

export interface Carrier {
  /** In order; resolves when they are out of our hands. What it throws makes them come again. */
  send(lines: readonly OutLine[]): Promise<void>
  close(): Promise<void>
}

export interface OutLine extends LogLine {
  /** Of a line that comes in pieces. */
  readonly piece: Piece | undefined
}

export interface Piece {
  /** The same for all pieces. */
  readonly id: string
  /** From 1. */
  readonly ordinal: number
  readonly isLast: boolean
}

/** What messages say beside the line. */
export interface Identity {
  readonly source: LogSource
  readonly subject: LogSubject
  readonly tag: string
  readonly extra: Readonly<Record<string, string>>
  readonly host: string
}

/** RFC 5424's severities, as Docker has them. */
export const severityOf = ({ stream }: Pick<LogLine, 'stream'>): number => (stream === 'stderr' ? 3 : 6)

export function identify(source: LogSource): Identity {
  const { name = '', imageName = '', imageId = '', labels = {}, env = [] } = source.subject ?? {}
  const subject = { id: source.container, name, imageName, imageId, labels, env }
  return {
    source,
    subject,
    tag: tagOf(source.options, subject),
    extra: extraAttributes(source.options, subject),
    host: hostname(),
  }
}
