/** What records look like (core/metadata/records.ts), for checks that trust nothing. */
import * as z from 'zod'
import { isDigest } from '#api/types/digest.ts'
import type { Key, ObjectKind } from '#core/metadata/metadata.ts'

const labels = z.record(z.string(), z.string())
const timestamp = z.object({ seconds: z.union([z.bigint(), z.number()]), nanos: z.number() })
const any = z.object({ typeUrl: z.string(), value: z.instanceof(Uint8Array) })
const times = { createdAt: timestamp, updatedAt: timestamp }
const digest = z.string().refine(isDigest, 'is no digest')
const runtime = z.object({ name: z.string(), options: any.optional() })
const mount = z.object({ type: z.string(), source: z.string(), target: z.string(), options: z.array(z.string()) })

/** How many elements a key of the kind has behind it, and what its value looks like (core/metadata/records.ts). */
const shapes: Readonly<Record<ObjectKind, { elements: number; value: z.ZodType }>> = {
  blobs: { elements: 1, value: z.object({ sizeBytes: z.number().min(0), labels, ...times }) },
  ingests: {
    elements: 1,
    value: z.object({ internalRef: z.string(), expiresAtMs: z.number().optional(), shared: digest.optional() }),
  },
  images: {
    elements: 1,
    value: z.object({
      labels,
      target: z.object({ mediaType: z.string(), digest, size: z.union([z.bigint(), z.number()]), annotations: labels }),
      ...times,
    }),
  },
  containers: {
    elements: 1,
    value: z.object({
      labels,
      image: z.string(),
      runtime,
      spec: any,
      snapshotter: z.string(),
      snapshotKey: z.string(),
      extensions: z.record(z.string(), any),
      ...times,
    }),
  },
  leases: { elements: 1, value: z.object({ createdAt: timestamp, labels }) },
  'lease-resources': { elements: 3, value: z.literal(true) },
  snapshots: {
    elements: 2,
    value: z.object({
      sequence: z.number(),
      backendKey: z.string(),
      kind: z.enum(['active', 'view', 'committed']),
      parent: z.string(),
      labels,
      ...times,
    }),
  },
  'snapshot-children': { elements: 3, value: z.literal(true) },
  commits: {
    elements: 2,
    value: z.object({ name: z.string(), sequence: z.number(), backendName: z.string(), labels, parent: z.string() }),
  },
  sandboxes: { elements: 1, value: z.object({ labels, sandboxer: z.string(), runtime, ...times }) },
  mounts: {
    elements: 1,
    value: z.object({ sequence: z.number(), labels, system: z.array(mount), ...times }),
  },
}

/** What is wrong with an entry below `['in']`; undefined: nothing. */
export function faultOf([, ns, kind, ...rest]: Key, value: unknown): string | undefined {
  const shape = Object.hasOwn(shapes, String(kind)) ? shapes[kind as ObjectKind] : undefined
  if (ns === '') return 'is in no tenant namespace'
  if (shape === undefined || shape.elements !== rest.length) return 'is of no kind this version knows'
  if (kind === 'blobs' && !isDigest(String(rest[0]))) return 'is not named by a digest'
  const [issue] = shape.value.safeParse(value).error?.issues ?? []
  return issue && `is malformed: ${issue.path.join('.') || 'value'}: ${issue.message}`
}
