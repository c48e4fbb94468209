import { alreadyExists, invalidArgument, messageOf, notFound } from '#api/errors/errors.ts'
import { mapField, parseFilters } from '#api/filters/filters.ts'
import { validateIdentifier, validateLabels } from '#api/types/identifiers.ts'
import {
  applyMapPath,
  type Metadata,
  now,
  objectKey,
  type ReadTransaction,
  type SandboxRecord,
  touchNamespace,
  withoutEmpty,
} from '#core/metadata/metadata.ts'
import type { Sandbox, Sandboxes, SandboxSpec } from './sandboxes.ts'

/** Sandbox records in the metadata store; messages are containerd's. */
export class SandboxStore implements Sandboxes {
  readonly #metadata: Metadata

  constructor(metadata: Metadata) {
    this.#metadata = metadata
  }

  async get(ns: string, id: string): Promise<Sandbox> {
    return this.#metadata.read(tx => ({ id, ...requireSandbox(tx, ns, id) }))
  }

  async list(ns: string, filters: readonly string[] = []): Promise<Sandbox[]> {
    const matches = parseFilters(filters)
    const rows = this.#metadata.read(tx => [...tx.list<SandboxRecord>(objectKey(ns, 'sandboxes'))])
    return rows
      .map(({ key, value }) => ({ id: String(key.at(-1)), ...value }))
      .filter(({ id, labels }) =>
        matches(([field, ...rest]) => {
          if (field === 'id') return id
          return field === 'labels' ? mapField(labels, rest) : undefined
        }),
      )
  }

  async create(ns: string, sandbox: SandboxSpec): Promise<Sandbox> {
    validated(sandbox, 'failed to validate sandbox: ')
    const at = now()
    const record: SandboxRecord = { ...recordOf(sandbox), createdAt: at, updatedAt: at }
    this.#metadata.write(tx => {
      if (tx.get(objectKey(ns, 'sandboxes', sandbox.id)) !== undefined)
        throw alreadyExists(`write error: sandbox bucket "${sandbox.id}" already exists`)
      touchNamespace(tx, ns)
      tx.put(objectKey(ns, 'sandboxes', sandbox.id), record)
    })
    return { id: sandbox.id, ...record }
  }

  async update(ns: string, given: SandboxSpec, fields: readonly string[] = []): Promise<Sandbox> {
    return this.#metadata.write(
      tx => {
        const current = { id: given.id, ...requireSandbox(tx, ns, given.id) }
        if (fields.length === 0 && current.runtime.name !== given.runtime.name)
          throw invalidArgument('sandbox.Runtime.Name field is immutable')
        const paths = fields.length === 0 ? ['labels', 'extensions', 'spec', 'runtime'] : fields
        let next: SandboxSpec = current
        for (const path of paths) next = Object.assign({}, next, changed(next, given, path))
        validated(next, '')
        const record: SandboxRecord = { ...recordOf(next), createdAt: current.createdAt, updatedAt: now() }
        tx.put(objectKey(ns, 'sandboxes', given.id), record)
        return { id: given.id, ...record }
      },
      { frees: true },
    )
  }

  async delete(ns: string, id: string): Promise<void> {
    this.#metadata.write(
      tx => {
        if (!tx.delete(objectKey(ns, 'sandboxes', id)))
          throw isEmpty(tx, ns) ? notFound('no sandbox buckets') : notFound(`failed to delete sandbox "${id}"`)
      },
      { frees: true },
    )
  }
}

function isEmpty(tx: ReadTransaction, ns: string): boolean {
  return [...tx.list(objectKey(ns, 'sandboxes'), { limit: 1 })].length === 0
}

function requireSandbox(tx: ReadTransaction, ns: string, id: string): SandboxRecord {
  const record = tx.get<SandboxRecord>(objectKey(ns, 'sandboxes', id))
  if (record !== undefined) return record
  throw isEmpty(tx, ns) ? notFound('no sandbox buckets') : notFound(`bucket "${id}" not found`)
}

function validated({ id, labels = {} }: SandboxSpec, prefix: string): void {
  try {
    validateIdentifier(id)
  } catch (cause) {
    throw invalidArgument(`${prefix}invalid sandbox ID: ${messageOf(cause)}`, { cause, bare: true })
  }
  validateLabels(labels, 'sandbox.Labels')
}

function changed(current: SandboxSpec, given: SandboxSpec, path: string): Partial<SandboxSpec> {
  const labels = applyMapPath(path, 'labels', current.labels ?? {}, given.labels ?? {})
  if (labels !== undefined) return { labels }
  const extensions = applyMapPath(path, 'extensions', current.extensions ?? {}, given.extensions ?? {})
  if (extensions !== undefined) return { extensions }
  if (path === 'spec') return { spec: given.spec }
  if (path === 'runtime') return { runtime: given.runtime }
  throw invalidArgument(`cannot update "${path}" field on sandbox "${given.id}"`)
}

function recordOf(sandbox: SandboxSpec): Omit<SandboxRecord, 'createdAt' | 'updatedAt'> {
  const { runtime, spec, labels = {}, extensions = {}, sandboxer = '' } = sandbox
  return {
    runtime: { name: runtime.name, ...(runtime.options && { options: runtime.options }) },
    ...(spec && { spec }),
    labels: withoutEmpty(labels),
    extensions,
    sandboxer,
  }
}
