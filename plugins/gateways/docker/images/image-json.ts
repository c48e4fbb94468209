/** The configuration blob of an image (OCI image-spec config.md; Docker's is the same with more members). */
import type { ImageRuntimeConfig } from '../engine/images.ts'

export interface ImageHistoryEntry {
  created?: string
  created_by?: string
  author?: string
  comment?: string
  empty_layer?: boolean
}

/** What is stored, member for member. */
export interface ImageJson {
  created?: string
  author?: string
  comment?: string
  architecture?: string
  variant?: string
  os?: string
  'os.version'?: string
  docker_version?: string
  container?: string
  container_config?: Record<string, unknown>
  config?: ImageRuntimeConfig | null
  rootfs?: { type?: string; diff_ids?: string[] | null }
  history?: ImageHistoryEntry[] | null
}

/** Never throws: a configuration of a wrong form counts as empty in that place. */
export function parseImageJson(bytes: Uint8Array): ImageJson {
  try {
    const value: unknown = JSON.parse(Buffer.from(bytes).toString('utf8'))
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? value : {}
  } catch {
    return {}
  }
}

export function diffIdsOf({ rootfs }: ImageJson): string[] {
  return (rootfs?.diff_ids ?? []).filter(diffId => typeof diffId === 'string')
}

/** Milliseconds since 1970; undefined for images that do not say. */
export function createdMs({ created }: ImageJson): number | undefined {
  const at = Date.parse(created ?? '')
  return Number.isNaN(at) ? undefined : at
}
