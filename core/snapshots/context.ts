import type { Logger } from '#api/log/log.ts'
import type { EventPublisher } from '#core/events/events.ts'
import type { Announcements, Metadata } from '#core/metadata/metadata.ts'
import type { SnapshotterBackend } from './snapshots.ts'

/** What a front is made from. */
export interface FrontOptions {
  readonly name: string
  /** The backend, its process started when need be; asked for with every call. */
  readonly backend: () => Promise<SnapshotterBackend>
  readonly metadata: Metadata
  readonly events: EventPublisher
  readonly logger: Logger
}

/** What the parts of one front share. */
export interface FrontContext extends FrontOptions {
  /** Backend keys that a call is making, and `ref:<name>` of layers a remote snapshotter may be providing. */
  readonly making: Announcements
  /** The backend may hold something no record knows. */
  markDirty(): void
}
