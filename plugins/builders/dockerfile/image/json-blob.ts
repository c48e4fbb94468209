/** Manifests, indexes and configurations as blobs of the core's. */
import { writeStream } from '#api/content/write-blob.ts'
import type { Core } from '../core/clients.ts'

/** As JSON documents point to content (OCI image spec, descriptor.md). */
export interface JsonDescriptor {
  readonly mediaType: string
  readonly digest: string
  /** Bytes. */
  readonly size: number
  readonly annotations?: Readonly<Record<string, string>>
  readonly platform?: { readonly os: string; readonly architecture: string; readonly variant?: string }
}

export interface StoreOptions {
  readonly lease: string
  /** Labels by which the core's collection finds what the document points to. */
  readonly labels: Record<string, string>
}

/** Equal values are equal blobs: members are written in their order. Durable when it resolves. */
export async function storeJson(
  core: Core,
  mediaType: string,
  value: object,
  { lease, labels }: StoreOptions,
): Promise<JsonDescriptor> {
  const ref = `build-${crypto.randomUUID()}`
  const { digest, sizeBytes } = await writeStream(core, [Buffer.from(JSON.stringify(value))], { ref, lease, labels })
  return { mediaType, digest, size: sizeBytes }
}

/** Labels for a document that points to these, each by its place: `containerd.io/gc.ref.content.l.0` and so on. */
export function contentLabels(kind: 'l' | 'm', digests: readonly string[]): Record<string, string> {
  return Object.fromEntries(digests.map((digest, at) => [`containerd.io/gc.ref.content.${kind}.${at}`, digest]))
}

/** The member only where it says something: an empty one would change the digest of what asked for nothing. */
export function annotated(annotations: Readonly<Record<string, string>>) {
  return Object.keys(annotations).length === 0 ? {} : { annotations }
}
