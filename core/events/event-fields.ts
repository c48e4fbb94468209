/** Looks into events for filters of the form `event.<field path>`. */

import type { Adaptor } from '#api/filters/filters.ts'
import { ContainerCreate, ContainerDelete, ContainerUpdate } from '#api/gen/containerd/events/container.ts'
import { ContentCreate, ContentDelete } from '#api/gen/containerd/events/content.ts'
import { NamespaceCreate, NamespaceDelete, NamespaceUpdate } from '#api/gen/containerd/events/namespace.ts'
import { SnapshotCommit, SnapshotPrepare, SnapshotRemove } from '#api/gen/containerd/events/snapshot.ts'
import {
  TaskCheckpointed,
  TaskCreate,
  TaskDelete,
  TaskExecAdded,
  TaskExecStarted,
  TaskExit,
  TaskIO,
  TaskOOM,
  TaskPaused,
  TaskResumed,
  TaskStart,
} from '#api/gen/containerd/events/task.ts'
import { ImageCreate, ImageDelete, ImageUpdate } from '#api/gen/containerd/services/images/v1/image_events.ts'
import type { Envelope } from '#api/gen/containerd/types/event.ts'
import type { Any } from '#api/gen/google/protobuf/any.ts'

interface Decoder {
  decode(bytes: Uint8Array): object
}

const decoders = new Map<string, Decoder>([
  ...named('containerd.events', {
    ContainerCreate,
    ContainerDelete,
    ContainerUpdate,
    ContentCreate,
    ContentDelete,
    NamespaceCreate,
    NamespaceDelete,
    NamespaceUpdate,
    SnapshotCommit,
    SnapshotPrepare,
    SnapshotRemove,
    TaskCheckpointed,
    TaskCreate,
    TaskDelete,
    TaskExecAdded,
    TaskExecStarted,
    TaskExit,
    TaskIO,
    TaskOOM,
    TaskPaused,
    TaskResumed,
    TaskStart,
  }),
  ...named('containerd.services.images.v1', { ImageCreate, ImageDelete, ImageUpdate }),
])

function named(scope: string, codecs: Record<string, Decoder>): [string, Decoder][] {
  return Object.entries(codecs).map(([name, codec]) => [`${scope}.${name}`, codec])
}

/** Fields of an envelope for filters: `namespace`, `topic`, `event.<field path>` of the event types we know. */
export function envelopeFields({ namespace, topic, event }: Envelope): Adaptor {
  let decoded: object | undefined
  return ([field, ...rest]) => {
    if (field === 'namespace') return namespace || undefined
    if (field === 'topic') return topic || undefined
    if (field !== 'event' || event === undefined) return undefined
    decoded ??= decode(event)
    return fieldOf(decoded, rest)
  }
}

function decode({ typeUrl, value }: Any): object {
  try {
    return decoders.get(typeUrl.slice(typeUrl.lastIndexOf('/') + 1))?.decode(value) ?? {}
  } catch {
    return {}
  }
}

/** Follows a path of protobuf names; a string map takes the rest of the path as its key. */
function fieldOf(message: object, path: readonly string[]): string | undefined {
  const [name = '', ...rest] = path
  const value: unknown = Reflect.get(message, camelCase(name))
  if (rest.length > 0 && typeof value === 'object' && value !== null)
    return Reflect.has(value, rest.join('.')) ? String(Reflect.get(value, rest.join('.'))) : fieldOf(value, rest)
  if (rest.length > 0 || value === '') return undefined
  return typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean'
    ? String(value)
    : undefined
}

function camelCase(protobufName: string): string {
  return protobufName.replace(/_([a-z0-9])/g, (_all, letter: string) => letter.toUpperCase())
}
