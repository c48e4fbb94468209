/** `--cache-from` and `--cache-to`, in the words of `docker buildx build`. */
import { resolve } from 'node:path'
import { invalidArgument } from '#api/errors/errors.ts'
import type { CacheLocation } from '#api/gen/gantry/services/builder/v1/builder.ts'
import { fieldsOf } from './csv-fields.ts'

export interface CacheFlags {
  cacheFrom: string[]
  cacheTo: string[]
}

export function cachesOf({ cacheFrom, cacheTo }: CacheFlags) {
  return {
    cacheFrom: cacheFrom.map(text => locationOf('--cache-from', text)),
    cacheTo: cacheTo.map(text => locationOf('--cache-to', text)),
  }
}

/** `type=TYPE,KEY=VALUE…`, or the name of an image; folders are this process' own. INVALID_ARGUMENT. */
function locationOf(flag: string, text: string): CacheLocation {
  if (!text.includes('=')) return { type: text === 'inline' ? 'inline' : 'registry', attributes: { ref: text } }
  const { type, ...attributes } = Object.fromEntries(fieldsOf(flag, text))
  if (type === undefined) throw invalidArgument(`${flag} "${text}": it needs type=registry, local or inline`)
  for (const name of ['src', 'dest']) {
    const folder = attributes[name]
    if (folder !== undefined) attributes[name] = resolve(folder)
  }
  return { type, attributes }
}
