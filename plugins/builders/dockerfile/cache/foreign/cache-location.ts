/** `--cache-from` and `--cache-to`: what they name, checked. */
import { isAbsolute } from 'node:path'
import { invalidArgument, notImplemented } from '#api/errors/errors.ts'
import type { CacheLocation } from '#api/gen/gantry/services/builder/v1/builder.ts'
import { formatReference, parseReference } from '#api/types/reference.ts'

export type CacheSource =
  | { readonly type: 'registry' | 'image'; readonly reference: string }
  | { readonly type: 'local'; readonly folder: string; readonly digest: string | undefined; readonly tag: string }

export type CacheTarget = { readonly mode: 'min' | 'max'; readonly ignoreError: boolean } & (
  | { readonly type: 'registry'; readonly reference: string }
  | { readonly type: 'local'; readonly folder: string; readonly tag: string }
  | { readonly type: 'inline' }
)

/** INVALID_ARGUMENT: an attribute is missing or wrong; NOT_IMPLEMENTED: another type. */
export function cacheSource({ type, attributes }: CacheLocation): CacheSource {
  if (type === 'registry' || type === 'image') return { type, reference: referenceOf(type, attributes) }
  if (type === 'local') {
    const { digest, tag = 'latest' } = attributes
    return { type, folder: folderOf(attributes.src, 'src'), digest, tag }
  }
  throw notImplemented(`cache-from type "${type}": there are registry, local and image`)
}

/** As {@link cacheSource}. */
export function cacheTarget({ type, attributes }: CacheLocation): CacheTarget {
  const { mode = 'min', tag = 'latest' } = attributes
  if (mode !== 'min' && mode !== 'max') throw invalidArgument(`cache-to mode "${mode}": it is min or max`)
  const shared = { mode, ignoreError: attributes['ignore-error'] === 'true' } as const
  if (type === 'inline') return { type, ...shared }
  if (type === 'registry') return { type, ...shared, reference: referenceOf(type, attributes) }
  if (type === 'local') return { type, ...shared, folder: folderOf(attributes.dest, 'dest'), tag }
  throw notImplemented(`cache-to type "${type}": there are registry, local and inline`)
}

function referenceOf(type: string, { ref = '' }: CacheLocation['attributes']): string {
  if (ref === '') throw invalidArgument(`cache type "${type}" needs ref=NAME`)
  return formatReference(parseReference(ref))
}

function folderOf(folder: string | undefined, name: string): string {
  if (folder === undefined || !isAbsolute(folder))
    throw invalidArgument(`cache type "local" needs ${name}=FOLDER, an absolute path, not "${folder ?? ''}"`)
  return folder
}
