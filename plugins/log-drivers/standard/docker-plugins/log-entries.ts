/** Lines as log plugins read them: protobuf messages, each after its length. */

import { nanosecondsOf } from '#api/container-log/log-lines.ts'
import { LogEntry } from '#api/gen/gantry/docker/v1/log_entry.ts'
import type { OutLine } from '../carrier.ts'

export function encodeEntries(lines: readonly OutLine[]): Buffer {
  return Buffer.concat(lines.flatMap(line => framed(LogEntry.encode(entryOf(line)).finish())))
}

function entryOf({ stream, time, text, isPartial, piece }: OutLine): LogEntry {
  return {
    source: stream,
    timeNano: nanosecondsOf(time),
    line: Buffer.from(text),
    partial: isPartial,
    partialLogMetadata: piece && { last: piece.isLast, id: piece.id, ordinal: piece.ordinal },
  }
}

function framed(message: Uint8Array): [Buffer, Uint8Array] {
  const length = Buffer.alloc(4)
  length.writeUInt32BE(message.length)
  return [length, message]
}
