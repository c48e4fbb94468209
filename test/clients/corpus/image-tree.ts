/** An image as `docker save` writes it: what it says, and what its layers make of a root. */
import { createHash } from 'node:crypto'
import { Readable } from 'node:stream'
import { gunzipSync } from 'node:zlib'
import { extract, type Header } from 'tar-stream'

export interface ImageTree {
  /** The configuration's `config`, without what is empty. */
  readonly config: Readonly<Record<string, unknown>>
  /** `created_by` of each entry; `(no layer)` where it made none. */
  readonly history: readonly string[]
  /** By path: kind, mode, owner, and what is in it. */
  readonly files: ReadonlyMap<string, string>
  readonly contents: ReadonlyMap<string, Buffer>
}

interface SavedConfig {
  config: Record<string, unknown>
  history?: { created_by?: string; empty_layer?: boolean }[]
}

export async function readImage(archive: Buffer): Promise<ImageTree> {
  const saved = new Map<string, Buffer>()
  for await (const { header, body } of entries(archive)) saved.set(header.name.replace(/^\.\//, ''), body)
  const json = (name: string) => JSON.parse((saved.get(name) ?? Buffer.from('null')).toString())
  const [{ Config, Layers }] = json('manifest.json') as [{ Config: string; Layers: string[] }]
  const { config, history = [] } = json(Config) as SavedConfig
  const root = new Root()
  for (const layer of Layers) await root.apply(saved.get(layer) ?? Buffer.alloc(0))
  return {
    config: Object.fromEntries(
      Object.entries(config).filter(([name, value]) => !isEmpty(value) && !ofTheBuild.has(name)),
    ),
    history: history.map(
      one => `${(one.created_by ?? '').replace(hashes, '$1:HASH')}${one.empty_layer ? ' (no layer)' : ''}`,
    ),
    files: root.files,
    contents: root.contents,
  }
}

/** Members that tell of the container that the classic builder made on the way. */
const ofTheBuild = new Set([
  'Hostname',
  'Domainname',
  'Image',
  'ArgsEscaped',
  'AttachStdin',
  'AttachStdout',
  'AttachStderr',
  'Tty',
  'OpenStdin',
  'StdinOnce',
])
const hashes = /(file|dir|multi):[0-9a-f]{64}/g

function isEmpty(value: unknown): boolean {
  return value === null || value === '' || (typeof value === 'object' && Object.keys(value).length === 0)
}

/** Layers, one over the other (OCI image spec, layer.md). */
class Root {
  readonly files = new Map<string, string>()
  readonly contents = new Map<string, Buffer>()

  async apply(layer: Buffer): Promise<void> {
    const plain = layer[0] === 0x1f && layer[1] === 0x8b ? gunzipSync(layer) : layer
    const added: { path: string; header: Header; body: Buffer }[] = []
    for await (const { header, body } of entries(plain)) {
      const path = `/${header.name.replace(/^\.?\//, '').replace(/\/$/, '')}`
      const name = path.slice(path.lastIndexOf('/') + 1)
      if (name === '.wh..wh..opq') this.#remove(path.slice(0, -name.length - 1), false)
      else if (name.startsWith('.wh.')) this.#remove(path.replace(/\.wh\.([^/]*)$/, '$1'), true)
      else if (path !== '/') added.push({ path, header, body })
    }
    for (const one of added) this.#add(one)
  }

  #add({ path, header, body }: { path: string; header: Header; body: Buffer }): void {
    const { type, mode = 0, uid, gid, linkname } = header
    if (type !== 'directory') this.#remove(path, true)
    if (type === 'link') {
      const target = `/${(linkname ?? '').replace(/^\.?\//, '')}`
      this.files.set(path, this.files.get(target) ?? `link to nothing: ${target}`)
      this.contents.set(path, this.contents.get(target) ?? Buffer.alloc(0))
      return
    }
    const content = type === 'symlink' ? `-> ${linkname}` : createHash('sha256').update(body).digest('hex').slice(0, 12)
    this.files.set(path, `${type} ${(mode & 0o7777).toString(8)} ${uid}:${gid} ${type === 'directory' ? '' : content}`)
    this.contents.set(path, body)
  }

  #remove(path: string, itself: boolean): void {
    for (const known of [...this.files.keys()])
      if ((itself && known === path) || known.startsWith(`${path}/`)) this.files.delete(known)
  }
}

async function* entries(archive: Buffer): AsyncGenerator<{ header: Header; body: Buffer }> {
  const reading = extract()
  Readable.from([archive]).pipe(reading)
  for await (const entry of reading) {
    const chunks: Buffer[] = []
    for await (const chunk of entry as AsyncIterable<Buffer>) chunks.push(chunk)
    yield { header: entry.header, body: Buffer.concat(chunks) }
  }
}
