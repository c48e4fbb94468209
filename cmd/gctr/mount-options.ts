/** `--mount`, `--volume` and `--tmpfs`, in Docker's syntax. */
import { invalidArgument } from '#api/errors/errors.ts'
import type { Mount } from '#api/gen/gantry/services/containers/v1/containers.ts'

/** What can be said of a mount; all else is the core's to decide. */
type MountFlag = Pick<Mount, 'type' | 'source' | 'target' | 'options'>

/** Key of `--mount`, or another name of it → the key. */
const mountKeys: Record<string, string> = {
  type: 'type',
  src: 'src',
  source: 'src',
  dst: 'dst',
  destination: 'dst',
  target: 'dst',
  ro: 'ro',
  readonly: 'ro',
  'bind-propagation': 'propagation',
  propagation: 'propagation',
  'tmpfs-size': 'tmpfs-size',
  'tmpfs-mode': 'tmpfs-mode',
  options: 'options',
}

/** `type=bind,src=/a,dst=/b,ro`. INVALID_ARGUMENT quotes it. */
export function mountOption(text: string): MountFlag {
  const words = mountWords(text)
  const type = words.get('type') ?? 'bind'
  const [source, target] = [words.get('src'), words.get('dst')]
  if (target === undefined) throw invalidArgument(`--mount "${text}" names no target; add dst=/path`)
  if (type === 'bind' && !source?.startsWith('/'))
    throw invalidArgument(`--mount "${text}" names no source; add src=/absolute/path`)
  const options = [
    ...(type === 'bind' ? ['rbind', words.get('propagation') ?? 'rprivate'] : []),
    ...(words.has('tmpfs-size') ? [`size=${words.get('tmpfs-size')}`] : []),
    ...(words.has('tmpfs-mode') ? [`mode=${words.get('tmpfs-mode')}`] : []),
    ...(words.get('options')?.split(':') ?? []),
    ...(['true', '1'].includes(words.get('ro') ?? 'false') ? ['ro'] : []),
  ]
  return { type, source: source ?? (type === 'tmpfs' ? 'tmpfs' : ''), target, options }
}

function mountWords(text: string): Map<string, string> {
  const words = new Map<string, string>()
  for (const word of text.split(',')) {
    const [name = ''] = word.split('=')
    const key = mountKeys[name]
    if (key === undefined)
      throw invalidArgument(`--mount "${text}" has "${word}"; known are ${Object.keys(mountKeys).join(', ')}`)
    words.set(key, word === name ? 'true' : word.slice(name.length + 1))
  }
  return words
}

/** `/source:/target[:options]`. INVALID_ARGUMENT quotes it. */
export function volumeOption(text: string): MountFlag {
  const [source = '', target, options = ''] = text.split(':')
  if (target === undefined || !source.startsWith('/') || !target.startsWith('/'))
    throw invalidArgument(`--volume "${text}" is not of the form /source:/target[:ro]`)
  const words = options === '' ? [] : options.split(',')
  const propagation = words.some(word => /^r?(private|slave|shared)$/.test(word)) ? [] : ['rprivate']
  return { type: 'bind', source, target, options: ['rbind', ...propagation, ...words.filter(word => word !== 'rw')] }
}

/** `/target[:options]`. */
export function tmpfsOption(text: string): MountFlag {
  const [target = '', options = ''] = text.split(':')
  return {
    type: 'tmpfs',
    source: 'tmpfs',
    target,
    options: ['nosuid', 'nodev', 'noexec', ...(options === '' ? [] : options.split(','))],
  }
}
