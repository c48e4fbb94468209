/**
 * Names of launched containers: unique in a tenant namespace, and a way to find one.
 *
 * The name is part of the container's configuration; `['container-names', ns, name]` says whose it is. An entry whose
 * container is gone or has another name by now is void (a crash came between two writes), and may be taken.
 */
import { alreadyExists, invalidArgument, notFound } from '#api/errors/errors.ts'
import type { ContainerRecord } from '#core/metadata/metadata.ts'
import { type Key, type Metadata, objectKey, type ReadTransaction } from '#core/metadata/metadata.ts'
import { launchConfigOf } from './launch-config.ts'

/** Docker's rule. */
const nameForm = /^[a-zA-Z0-9][a-zA-Z0-9_.-]+$/
const maxNameBytes = 255

const nameKey = (ns: string, name: string): Key => ['container-names', ns, name]

export class ContainerNames {
  readonly #metadata: Metadata
  /** Reserved by calls that are under way: their records are not written yet. */
  readonly #pending = new Set<string>()

  constructor(metadata: Metadata) {
    this.#metadata = metadata
  }

  /** Holds the name for a container until the answer is disposed of, by when its record has it. ALREADY_EXISTS names the holder. */
  reserve(ns: string, name: string, id: string): Disposable {
    if (name === '') return { [Symbol.dispose]: () => {} }
    if (!nameForm.test(name) || name.length > maxNameBytes)
      throw invalidArgument(`container name "${name}": only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed`)
    const pending = `${ns}/${name}`
    this.#metadata.write(tx => {
      const holder = tx.get<string>(nameKey(ns, name))
      const isTaken = holder !== undefined && holder !== id && (this.#pending.has(pending) || has(tx, ns, holder, name))
      if (isTaken) throw alreadyExists(`container name "${name}" (it is that of container ${holder})`)
      tx.put(nameKey(ns, name), id)
    })
    this.#pending.add(pending)
    return { [Symbol.dispose]: () => void this.#pending.delete(pending) }
  }

  /** Frees the name if it is that container's. */
  release(ns: string, name: string, id: string): void {
    if (name === '') return
    this.#metadata.write(tx => {
      if (tx.get(nameKey(ns, name)) === id) tx.delete(nameKey(ns, name))
    })
  }

  /** The id behind an id, a name, or a prefix of one id. NOT_FOUND; INVALID_ARGUMENT when several ids have the prefix. */
  find(ns: string, reference: string): string {
    return this.#metadata.read(tx => {
      if (reference === '') throw invalidArgument('a container is named by its id or its name: this is empty')
      if (tx.get(objectKey(ns, 'containers', reference)) !== undefined) return reference
      const holder = tx.get<string>(nameKey(ns, reference))
      if (holder !== undefined && has(tx, ns, holder, reference)) return holder
      return byPrefix(tx, ns, reference)
    })
  }
}

function has(tx: ReadTransaction, ns: string, id: string, name: string): boolean {
  const record = tx.get<ContainerRecord>(objectKey(ns, 'containers', id))
  return record !== undefined && launchConfigOf(record)?.name === name
}

function byPrefix(tx: ReadTransaction, ns: string, prefix: string): string {
  const found: string[] = []
  for (const { key } of tx.list(objectKey(ns, 'containers'))) {
    const id = String(key.at(-1))
    if (id.startsWith(prefix)) found.push(id)
  }
  const [id, second] = found
  if (id === undefined) throw notFound(`container "${prefix}" in namespace "${ns}"`)
  if (second !== undefined) throw invalidArgument(`"${prefix}" begins the ids of ${found.length} containers`)
  return id
}
