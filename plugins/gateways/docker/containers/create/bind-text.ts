/** `SOURCE:DESTINATION[:MODE]` of `docker run -v`. */
import { normalize } from 'node:path'
import { badRequest } from '../../http/http-error.ts'

export interface BindText {
  /** Absolute path, or a volume's name; empty: an anonymous volume. */
  source: string
  destination: string
  /** As the client wrote it. */
  mode: string
  readOnly: boolean
  propagation: string
  noCopy: boolean
}

export const propagations = ['private', 'rprivate', 'shared', 'rshared', 'slave', 'rslave']
const words = [...propagations, 'ro', 'rw', 'z', 'Z', 'nocopy', 'consistent', 'cached', 'delegated', 'default', '']
const volumeName = /^[a-zA-Z0-9][a-zA-Z0-9_.-]*$/

/** 400 in Docker's words. */
export function parseBind(text: string): BindText {
  const parts = text.split(':')
  const [source = '', destination, mode = ''] = parts.length === 1 ? ['', parts[0]] : parts
  if (parts.length > 3 || !destination) throw badRequest(`invalid volume specification: '${text}'`)
  if (!destination.startsWith('/'))
    throw badRequest(
      `invalid volume specification: '${text}': invalid mount config for type "volume": invalid mount path: '${destination}' mount path must be absolute`,
    )
  if (normalize(destination) === '/')
    throw badRequest(`invalid volume specification: '${text}': invalid mount config: destination can't be '/'`)
  if (source !== '' && !source.startsWith('/') && !volumeName.test(source))
    throw badRequest(
      `create ${source}: "${source}" includes invalid characters for a local volume name, only "[a-zA-Z0-9][a-zA-Z0-9_.-]" are allowed. If you intended to pass a host directory, use absolute path`,
    )
  const modes = mode.split(',')
  if (modes.some(word => !words.includes(word))) throw badRequest(`invalid mode: ${mode}`)
  return {
    source: source.startsWith('/') ? normalize(source) : source,
    destination: trimSlash(normalize(destination)),
    mode,
    readOnly: modes.includes('ro'),
    propagation: modes.find(word => propagations.includes(word)) ?? '',
    noCopy: modes.includes('nocopy'),
  }
}

export function trimSlash(path: string): string {
  return path.length > 1 ? path.replace(/\/+$/, '') : path
}
