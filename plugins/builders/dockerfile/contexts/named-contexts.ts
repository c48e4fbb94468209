/** `--build-context NAME=…`: what FROM, `--from` and `from=` mean by a name before stages and images are looked at. */
import { invalidArgument } from '#api/errors/errors.ts'
import { formatReference, parseReference } from '#api/types/reference.ts'
import type { SourceTree } from '../files/source-tree.ts'
import { remoteContext } from '../remote/remote-context.ts'
import type { RemoteAccess } from '../remote/repository.ts'

/** Files, or an image by the name of a record or of a registry's. */
export type NamedContext = { readonly tree: SourceTree } | { readonly image: string }

export interface NamedContextsOptions extends RemoteAccess {
  /** By name, as BuildOptions has them. */
  readonly wanted: Readonly<Record<string, string>>
  /** Archives that came with the call, read. */
  readonly received: ReadonlyMap<string, SourceTree>
  /** The build's own folder. */
  readonly state: string
  /** Stores an image of an OCI layout; the name of its record, which goes with the build. */
  importLayout(address: string): Promise<string>
}

const image = 'docker-image://'
const layout = 'oci-layout://'

export class NamedContexts {
  readonly #options: NamedContextsOptions
  /** Each is fetched once, when somebody asks. */
  readonly #found = new Map<string, Promise<NamedContext>>()

  constructor(options: NamedContextsOptions) {
    this.#options = options
  }

  has(reference: string): boolean {
    return this.#nameOf(reference) !== undefined
  }

  /** Undefined: the name is nobody's here. Else as its place fails. */
  async find(reference: string): Promise<NamedContext | undefined> {
    const name = this.#nameOf(reference)
    if (name === undefined) return undefined
    const known = this.#found.get(name) ?? this.#open(name, this.#options.wanted[name] ?? '')
    this.#found.set(name, known)
    return await known
  }

  /** `alpine` is `docker.io/library/alpine:latest` here too. */
  #nameOf(reference: string): string | undefined {
    const names = Object.keys(this.#options.wanted)
    const exact = names.find(name => name === reference.toLowerCase())
    return exact ?? names.find(name => sameImage(name, reference))
  }

  async #open(name: string, value: string): Promise<NamedContext> {
    const { received, state, importLayout } = this.#options
    const tree = received.get(name)
    if (tree !== undefined) return { tree }
    if (value === '') throw invalidArgument(`context "${name}" was announced, and no archive of it came`)
    if (value.startsWith(image)) return { image: value.slice(image.length) }
    if (value.startsWith(layout)) return { image: await importLayout(value.slice(layout.length)) }
    return { tree: await remoteContext(value, state, this.#options) }
  }
}

function sameImage(name: string, reference: string): boolean {
  try {
    return formatReference(parseReference(name)) === formatReference(parseReference(reference))
  } catch {
    return false
  }
}
