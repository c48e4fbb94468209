/** `events`: what happens, a line each, until the command is ended. */
import * as containerEvents from '#api/gen/containerd/events/container.ts'
import * as contentEvents from '#api/gen/containerd/events/content.ts'
import * as namespaceEvents from '#api/gen/containerd/events/namespace.ts'
import * as snapshotEvents from '#api/gen/containerd/events/snapshot.ts'
import * as taskEvents from '#api/gen/containerd/events/task.ts'
import { EventsDefinition } from '#api/gen/containerd/services/events/v1/events.ts'
import * as imageEvents from '#api/gen/containerd/services/images/v1/image_events.ts'
import type { Any } from '#api/gen/google/protobuf/any.ts'
import { printJsonLine, toJson } from '../output/json.ts'
import { formatTime } from '../output/units.ts'
import type { Session } from '../session.ts'

/** Message name, without its package → codec. */
const codecs: Record<string, unknown> = {
  ...containerEvents,
  ...contentEvents,
  ...namespaceEvents,
  ...snapshotEvents,
  ...taskEvents,
  ...imageEvents,
}

export async function events(session: Session, _flags: unknown, filters: string[]): Promise<void> {
  for await (const { timestamp, namespace, topic, event } of session.client(EventsDefinition).subscribe({ filters })) {
    const decoded = event === undefined ? {} : decode(event)
    const at = formatTime(timestamp)
    if (session.json) printJsonLine({ timestamp: at, namespace, topic, event: decoded })
    else console.log(`${at} ${namespace} ${topic} ${toJson(decoded)}`)
  }
}

function decode({ typeUrl, value }: Any): unknown {
  const codec = codecs[typeUrl.split('.').at(-1) ?? '']
  return isCodec(codec) ? codec.decode(value) : { type: typeUrl, bytes: value.toString('base64') }
}

function isCodec(value: unknown): value is { decode(bytes: Buffer): unknown } {
  return typeof value === 'object' && value !== null && 'decode' in value
}
