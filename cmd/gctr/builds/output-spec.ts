/** `--output`, in the words of `docker buildx build`: `type=TYPE,KEY=VALUE…`, a folder, or `-`. */
import { invalidArgument, notImplemented } from '#api/errors/errors.ts'
import { fieldsOf } from './csv-fields.ts'

const types = ['image', 'registry', 'oci', 'docker', 'local', 'tar'] as const
export type OutputType = (typeof types)[number]

export interface OutputSpec {
  readonly type: OutputType
  /** File or folder; `-` is standard output; empty for what goes into a store. */
  readonly dest: string
  /** `name=` of an image, comma-separated where quoted: added to `--tag`. */
  readonly names: readonly string[]
  readonly push: boolean
  /** An image's or archive's media types are Docker's. */
  readonly isDockerFormat: boolean
  /** `tar=false`: a folder instead of an archive. */
  readonly isUnpacked: boolean
  /** `annotation….KEY=VALUE`, in the form that `--annotation` reads. */
  readonly annotations: readonly string[]
}

/** INVALID_ARGUMENT names what is wrong; NOT_IMPLEMENTED what buildx knows and we do not. */
export function parseOutput(text: string): OutputSpec {
  if (text === '-') return outputOf('tar', new Map([['dest', '-']]), text)
  if (!text.includes('=')) return outputOf('local', new Map([['dest', text]]), text)
  const fields = new Map(fieldsOf('--output', text))
  const type = types.find(known => known === fields.get('type'))
  if (type === undefined)
    throw invalidArgument(`--output "${text}": type "${fields.get('type') ?? ''}" is none of ${types.join(', ')}`)
  fields.delete('type')
  return outputOf(type, fields, text)
}

/** Keys of which the default is all that we do. */
const onlyDefault: Readonly<Record<string, readonly string[]>> = {
  store: ['true'],
  unpack: ['true', 'false'],
  compression: ['gzip'],
  'force-compression': ['false'],
  'rewrite-timestamp': ['true'],
  'platform-split': ['true'],
}
const annotationKey = /^annotation(?:-(index|manifest|manifest-descriptor))?\.(.+)$/

function outputOf(type: OutputType, fields: ReadonlyMap<string, string>, text: string): OutputSpec {
  const annotations: string[] = []
  for (const [key, value] of fields) {
    const [, level = 'manifest', name] = annotationKey.exec(key) ?? []
    if (name !== undefined) annotations.push(`${level}:${name}=${value}`)
    else if (!['dest', 'name', 'push', 'oci-mediatypes', 'tar'].includes(key)) refuse(key, value, text)
  }
  const flag = (key: string, otherwise: boolean) => flagOf(fields.get(key), otherwise, `--output "${text}": ${key}`)
  return {
    ...{ type, dest: destOf(type, fields.get('dest'), text), annotations },
    names: (fields.get('name') ?? '').split(',').filter(name => name !== ''),
    push: flag('push', type === 'registry'),
    isDockerFormat: !flag('oci-mediatypes', type !== 'docker'),
    isUnpacked: !flag('tar', true),
  }
}

function refuse(key: string, value: string, text: string): void {
  const supported = onlyDefault[key]
  if (supported === undefined) throw invalidArgument(`--output "${text}": there is no "${key}"`)
  if (!supported.includes(value))
    throw notImplemented(`--output "${text}": ${key}=${value} (only ${supported.join(', ')})`)
}

function destOf(type: OutputType, dest: string | undefined, text: string): string {
  const isStored = type === 'image' || type === 'registry'
  if (isStored && dest !== undefined)
    throw invalidArgument(`--output "${text}": ${type} goes into a store and has no dest; oci and docker are archives`)
  if (!isStored && (dest === undefined || dest === ''))
    throw invalidArgument(`--output "${text}": dest is missing, as in type=${type},dest=out`)
  if (type === 'local' && dest === '-')
    throw invalidArgument(`--output "${text}": a folder cannot go to standard output`)
  return dest ?? ''
}

function flagOf(value: string | undefined, otherwise: boolean, what: string): boolean {
  if (value === undefined) return otherwise
  if (value === 'true' || value === '1' || value === '') return true
  if (value === 'false' || value === '0') return false
  throw invalidArgument(`${what}=${value}: it is true or false`)
}
