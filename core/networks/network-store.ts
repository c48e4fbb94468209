/**
 * Records of networks and attachments in the metadata store:
 * ```
 * ['networks', 'record', id]                            NetworkRow
 * ['networks', 'name', ns, name]                        id; ns is '' for the built-in ones
 * ['networks', 'attachment', ns, container, interface]  AttachmentRow
 * ```
 */
import { randomBytes } from 'node:crypto'
import { alreadyExists, invalidArgument, notFound } from '#api/errors/errors.ts'
import type { Network, Result } from '#api/gen/gantry/network/v1/network.ts'
import type { Timestamp } from '#api/gen/google/protobuf/timestamp.ts'
import { type Key, type Metadata, now, type ReadTransaction, touchNamespace } from '#core/metadata/metadata.ts'
import { builtInNetworks, isBuiltIn } from './built-in.ts'
import type { AttachmentRequest, ContainerWishes, NetworkSpec } from './networks.ts'

/** Tenant namespace of the built-in networks' names: no tenant's, since it is empty. */
const everyone = ''
const shortestPrefix = 4

export interface NetworkRow {
  /** Empty for a built-in one. */
  readonly ns: string
  readonly driver: string
  readonly createdAt: Timestamp
  /** As the plugin answered; until then as asked for. */
  readonly network: Network
  /** The plugin has answered its creation. */
  readonly isMade: boolean
}

export type AttachmentState = 'attaching' | 'attached' | 'leaving'

export interface AttachmentRow {
  readonly ns: string
  readonly containerId: string
  readonly interfaceName: string
  readonly networkId: string
  readonly driver: string
  readonly netnsPath: string
  /** Place among the container's interfaces. */
  readonly order: number
  readonly request: AttachmentRequest
  readonly wishes?: ContainerWishes
  readonly state: AttachmentState
  /** Once attached. */
  readonly result?: Result
}

export class NetworkStore {
  readonly #metadata: Metadata

  constructor(metadata: Metadata) {
    this.#metadata = metadata
  }

  /** Records a wish; the plugin is asked next. ALREADY_EXISTS: the name is taken. */
  add(ns: string, spec: NetworkSpec): NetworkRow {
    return this.#metadata.write(tx => {
      const taken = isBuiltIn(spec.name) || tx.get(nameKey(ns, spec.name)) !== undefined
      if (taken) throw alreadyExists(`network "${spec.name}"`)
      const row = newRow(ns, spec)
      touchNamespace(tx, ns)
      tx.put(recordKey(row.network.id), row)
      tx.put(nameKey(ns, spec.name), row.network.id)
      return row
    })
  }

  put(row: NetworkRow): void {
    this.#metadata.write(tx => tx.put(recordKey(row.network.id), row))
  }

  remove({ ns, network }: NetworkRow): void {
    this.#metadata.write(tx => {
      tx.delete(recordKey(network.id))
      tx.delete(nameKey(ns, network.name))
    })
  }

  /** By id; undefined when it is gone. */
  byId(id: string): NetworkRow | undefined {
    return this.#metadata.read(tx => tx.get<NetworkRow>(recordKey(id)))
  }

  /** As `Networks.get` finds one; a built-in one springs up here. */
  find(ns: string, wanted: string): NetworkRow {
    if (isBuiltIn(wanted)) return this.#builtIn(wanted)
    return this.#metadata.read(tx => byName(tx, ns, wanted) ?? byIdOrPrefix(tx, ns, wanted))
  }

  /** What a tenant namespace sees: the built-in ones first, then by name. */
  visible(ns: string): NetworkRow[] {
    const own = this.#metadata.read(tx => rowsOf(tx).filter(row => row.ns === ns && row.ns !== everyone))
    return [
      ...builtInNetworks.map(name => this.#builtIn(name)),
      ...own.sort((a, b) => (a.network.name < b.network.name ? -1 : 1)),
    ]
  }

  all(): NetworkRow[] {
    return this.#metadata.read(rowsOf)
  }

  putAttachments(rows: readonly AttachmentRow[]): void {
    this.#metadata.write(tx => {
      for (const row of rows) {
        touchNamespace(tx, row.ns)
        tx.put(attachmentKey(row), row)
      }
    })
  }

  removeAttachments(rows: readonly AttachmentRow[]): void {
    if (rows.length === 0) return
    this.#metadata.write(tx => {
      for (const row of rows) tx.delete(attachmentKey(row))
    })
  }

  /** Of everybody, of a tenant namespace, or of a container; in the order of interfaces. */
  attachments(...scope: [] | [ns: string] | [ns: string, containerId: string]): AttachmentRow[] {
    const rows = this.#metadata.read(tx =>
      Array.from(tx.list<AttachmentRow>(['networks', 'attachment', ...scope]), ({ value }) => value),
    )
    return rows.sort((a, b) => a.order - b.order)
  }

  #builtIn(name: string): NetworkRow {
    const known = this.#metadata.read(tx => byName(tx, everyone, name))
    if (known) return known
    return this.#metadata.write(tx => {
      const row = newRow(everyone, { name, driver: name })
      tx.put(recordKey(row.network.id), row)
      tx.put(nameKey(everyone, name), row.network.id)
      return row
    })
  }
}

function newRow(ns: string, { name, driver = 'bridge', ...rest }: NetworkSpec): NetworkRow {
  const network: Network = {
    id: randomBytes(32).toString('hex'),
    name,
    subnets: [...(rest.subnets ?? [])],
    mtu: rest.mtu ?? 0,
    internal: rest.internal ?? false,
    options: { ...rest.options },
    labels: { ...rest.labels },
    disableIpv4: rest.disableIpv4 ?? false,
    disableIpv6: rest.disableIpv6 ?? false,
  }
  return { ns, driver, createdAt: now(), network, isMade: false }
}

function rowsOf(tx: ReadTransaction): NetworkRow[] {
  return Array.from(tx.list<NetworkRow>(['networks', 'record']), ({ value }) => value)
}

function byName(tx: ReadTransaction, ns: string, name: string): NetworkRow | undefined {
  const id = tx.get<string>(nameKey(ns, name))
  return id === undefined ? undefined : tx.get<NetworkRow>(recordKey(id))
}

function byIdOrPrefix(tx: ReadTransaction, ns: string, wanted: string): NetworkRow {
  const isPrefix = wanted.length >= shortestPrefix && /^[0-9a-f]+$/.test(wanted)
  const found = isPrefix
    ? rowsOf(tx).filter(row => (row.ns === ns || row.ns === everyone) && row.network.id.startsWith(wanted))
    : []
  const [only, second] = found
  if (second)
    throw invalidArgument(`network id "${wanted}" fits several: ${found.map(({ network }) => network.name).join(', ')}`)
  if (only === undefined) throw notFound(`network "${wanted}"`)
  return only
}

function recordKey(id: string): Key {
  return ['networks', 'record', id]
}

function nameKey(ns: string, name: string): Key {
  return ['networks', 'name', ns, name]
}

function attachmentKey({ ns, containerId, interfaceName }: AttachmentRow): Key {
  return ['networks', 'attachment', ns, containerId, interfaceName]
}
