/** What is stored, per kind of object. Maps are never undefined; an empty label value is never stored. */
import type { Any } from '#api/gen/google/protobuf/any.ts'
import type { Timestamp } from '#api/gen/google/protobuf/timestamp.ts'
import type { Digest } from '#api/types/digest.ts'

export type StringMap = Readonly<Record<string, string>>

export interface NamespaceRecord {
  readonly labels: StringMap
}

export interface BlobRecord {
  readonly sizeBytes: number
  readonly createdAt: Timestamp
  readonly updatedAt: Timestamp
  readonly labels: StringMap
}

export interface IngestRecord {
  /** Ref on disk, `<ns>/<sequence>/<ref>`: a dropped and reopened ref never meets its old data. */
  readonly internalRef: string
  /** When it may be collected, in ms since the epoch; undefined: a lease keeps it. */
  readonly expiresAtMs?: number
  /** Set when the bytes are another namespace's blob: nothing is on disk for this ingest. */
  readonly shared?: Digest
}

export interface ImageRecord {
  readonly labels: StringMap
  readonly target: { mediaType: string; digest: string; size: bigint; annotations: StringMap }
  readonly createdAt: Timestamp
  readonly updatedAt: Timestamp
}

export interface LeaseRecord {
  readonly createdAt: Timestamp
  readonly labels: StringMap
}

export interface ContainerRecord {
  readonly labels: StringMap
  readonly image: string
  readonly runtime: { name: string; options?: Any }
  readonly spec: Any
  readonly snapshotter: string
  readonly snapshotKey: string
  readonly extensions: Readonly<Record<string, Any>>
  readonly sandbox: string
  readonly createdAt: Timestamp
  readonly updatedAt: Timestamp
}

export interface SnapshotRecord {
  /** Number in the backend's key; never used again. */
  readonly sequence: number
  readonly backendKey: string
  readonly kind: 'active' | 'view' | 'committed'
  readonly parent: string
  readonly createdAt: Timestamp
  readonly updatedAt: Timestamp
  readonly labels: StringMap
}

/** A commit whose outcome in the backend is not known yet. */
export interface CommitIntent {
  readonly name: string
  readonly sequence: number
  readonly backendName: string
  readonly labels: StringMap
  readonly parent: string
  readonly lease?: string
}

export interface SandboxRecord {
  readonly runtime: { name: string; options?: Any }
  readonly spec?: Any
  readonly labels: StringMap
  readonly extensions: Readonly<Record<string, Any>>
  /** Controller that runs it; empty for the default one. */
  readonly sandboxer: string
  readonly createdAt: Timestamp
  readonly updatedAt: Timestamp
}

/** Mounts the daemon holds. The folder of its mount points is named by the number. */
export interface MountRecord {
  readonly sequence: number
  readonly labels: StringMap
  /** Holds it as it would a resource. */
  readonly lease?: string
  /** Absent until all of them are mounted. */
  readonly active?: readonly ActiveMountRecord[]
  readonly system: readonly MountValue[]
  readonly createdAt: Timestamp
  readonly updatedAt: Timestamp
}

export interface MountValue {
  readonly type: string
  readonly source: string
  readonly target: string
  readonly options: readonly string[]
}

export interface ActiveMountRecord {
  readonly mount: MountValue
  readonly mountPoint: string
  readonly mountedAt: Timestamp
  readonly data: StringMap
}
