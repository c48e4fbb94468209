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

interface SavedImage {
  Config: string
  RepoTags: string[]
  Layers: string[]
}

/** The images of an archive by name, without the tag `latest`. */
export async function readImages(archive: Buffer): Promise<Map<string, ImageTree>> {
  const saved = new Map<string, Buffer>()
  for await (const { header, body } of entries(archive)) saved.set(header.name.replace(/^\.\//, ''), body)
  const json = (name: string) => JSON.parse((saved.get(name) ?? Buffer.from('null')).toString())
  // Images stand on the same layers: each is read once.
  const layers = new Map<string, Promise<LayerEntry[]>>()
  const layer = (path: string) => {
    const known = layers.get(path) ?? readLayer(saved.get(path) ?? Buffer.alloc(0))
    layers.set(path, known)
    return known
  }
  const images = new Map<string, ImageTree>()
  for (const { Config, RepoTags, Layers } of json('manifest.json') as SavedImage[]) {
    const root = new Root()
    for (const path of Layers) root.apply(await layer(path))
    for (const name of RepoTags) images.set(name.replace(/:latest$/, ''), treeOf(json(Config), root))
  }
  return images
}

function treeOf({ config, history = [] }: SavedConfig, root: Root): ImageTree {
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

interface LayerEntry {
  readonly path: string
  readonly header: Header
  readonly body: Buffer
  /** What is in it, in a word. */
  readonly content: string
}

async function readLayer(layer: Buffer): Promise<LayerEntry[]> {
  const plain = layer[0] === 0x1f && layer[1] === 0x8b ? gunzipSync(layer) : layer
  const found: LayerEntry[] = []
  for await (const { header, body } of entries(plain)) {
    const path = `/${header.name.replace(/^\.?\//, '').replace(/\/$/, '')}`
    const hash = () => createHash('sha256').update(body).digest('hex').slice(0, 12)
    found.push({ path, header, body, content: header.type === 'symlink' ? `-> ${header.linkname}` : hash() })
  }
  return found
}

/** Layers, one over the other (OCI image spec, layer.md). */
class Root {
  readonly files = new Map<string, string>()
  readonly contents = new Map<string, Buffer>()

  apply(layer: readonly LayerEntry[]): void {
    const added: LayerEntry[] = []
    for (const entry of layer) {
      const { path } = entry
      const name = path.slice(path.lastIndexOf('/') + 1)
      if (name === '.wh..wh..opq') this.#remove(path.slice(0, -name.length - 1), false)
      else if (name.startsWith('.wh.')) this.#remove(path.replace(/\.wh\.([^/]*)$/, '$1'), true)
      else if (path !== '/') added.push(entry)
    }
    for (const one of added) this.#add(one)
  }

  #add({ path, header, body, content }: LayerEntry): void {
    const { type, mode = 0, uid, gid, linkname } = header
    if (type !== 'directory') this.#remove(path, true)
    if (type === 'link') {
      const target = `/${(linkname ?? '').replace(/^\.?\//, '')}`
      this.files.set(path, this.files.get(target) ?? `link to nothing: ${target}`)
      this.contents.set(path, this.contents.get(target) ?? Buffer.alloc(0))
      return
    }
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
