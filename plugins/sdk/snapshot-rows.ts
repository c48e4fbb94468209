/** Snapshots as stored, and containerd's rules (and words) for what may become of which. */
import { aborted, alreadyExists, failedPrecondition, invalidArgument, notFound } from '#api/errors/errors.ts'
import type { Key, ReadTransaction } from '#api/store/store.ts'
import { now } from '#api/types/clock.ts'
import { validateLabels } from '#api/types/identifiers.ts'
import type { CommitOptions, Labels, SnapshotInfo, SnapshotKind, SnapshotUsage } from './snapshotter.ts'

/** Longest key or name; an LMDB key must hold it with room to spare. */
const maxNameBytes = 1024

/** A snapshot with what its storage needs to know. */
export interface SnapshotNode {
  /** Number of its storage, from 1; never reused. */
  readonly id: number
  /** Numbers of its ancestors' storage, parent first. */
  readonly parentIds: readonly number[]
  readonly info: SnapshotInfo
}

export interface CreateRequest {
  kind: Exclude<SnapshotKind, 'committed'>
  key: string
  /** Empty: none. */
  parent: string
  labels?: Labels
}

/** As stored under its name. */
export interface Row extends Omit<SnapshotInfo, 'name'> {
  readonly id: number
  readonly parentIds: readonly number[]
  readonly usage?: SnapshotUsage
}

export const rowKey = (name: string): Key => ['snapshot', name]
export const childKey = (parentId: number, child: string): Key => ['child', parentId, child]

/** The row a request leads to. NOT_FOUND, INVALID_ARGUMENT: no such parent, or none that can be one. ALREADY_EXISTS: the key is taken. */
export function newRow(tx: ReadTransaction, id: number, { kind, key, parent, labels = {} }: CreateRequest): Row {
  checkName(key)
  validateLabels(labels)
  const parentIds = parent === '' ? [] : committedParent(tx, parent)
  if (tx.get<Row>(rowKey(key))) throw alreadyExists(`failed to create snapshot: snapshot ${key}`)
  const createdAt = now()
  return { id, parentIds, kind, parent, createdAt, updatedAt: createdAt, labels }
}

/** The row an active snapshot becomes. */
export function committedRow(
  tx: ReadTransaction,
  name: string,
  key: string,
  { labels = {}, parent = '' }: CommitOptions = {},
): Row {
  checkName(name)
  validateLabels(labels)
  if (tx.get<Row>(rowKey(name))) throw alreadyExists(`failed to commit snapshot: committed snapshot ${name}`)
  const active = activeRow(tx, key)
  const family = parent === '' ? active : rebased(tx, key, active, parent)
  const createdAt = now()
  const { id } = active
  return {
    id,
    parentIds: family.parentIds,
    kind: 'committed',
    parent: family.parent,
    createdAt,
    updatedAt: createdAt,
    labels,
  }
}

/** ABORTED when the storage was made on another parent than the one that has the name now. */
export function sameParent(planned: SnapshotNode, row: Row): void {
  if (planned.parentIds[0] === row.parentIds[0]) return
  throw aborted(`snapshot ${planned.info.name}: its parent "${row.parent}" was replaced meanwhile; try again`)
}

export function checkName(name: string): void {
  if (name === '') throw invalidArgument('snapshot key must not be empty')
  if (name.includes('\0')) throw invalidArgument(`snapshot key ${JSON.stringify(name)} has a NUL character`)
  if (Buffer.byteLength(name) > maxNameBytes)
    throw invalidArgument(`snapshot key "${name.slice(0, 40)}…" is longer than ${maxNameBytes} bytes`)
}

export function nodeOf(name: string, { id, parentIds, usage: _usage, ...info }: Row): SnapshotNode {
  return { id, parentIds, info: { name, ...info } }
}

export function rowOf(tx: ReadTransaction, name: string): Row {
  const row = tx.get<Row>(rowKey(name))
  if (row === undefined) throw notFound(`snapshot ${name} does not exist`)
  return row
}

export function activeRow(tx: ReadTransaction, key: string): Row {
  const row = tx.get<Row>(rowKey(key))
  if (row === undefined) throw notFound(`failed to commit snapshot: failed to get active snapshot "${key}"`)
  if (row.kind !== 'active') throw failedPrecondition(`failed to commit snapshot: snapshot "${key}" is not active`)
  return row
}

/** Storage numbers of a parent and its ancestors, checked to be committed. */
function committedParent(tx: ReadTransaction, parent: string): number[] {
  const row = tx.get<Row>(rowKey(parent))
  if (row === undefined) throw notFound(`failed to create snapshot: parent snapshot ${parent} does not exist`)
  if (row.kind !== 'committed')
    throw invalidArgument(`failed to create snapshot: parent "${parent}" is not committed snapshot`)
  return [row.id, ...row.parentIds]
}

function rebased(tx: ReadTransaction, key: string, active: Row, parent: string): Pick<Row, 'parent' | 'parentIds'> {
  if (active.parent === parent) return active
  if (active.parent !== '')
    throw invalidArgument(`failed to commit snapshot: cannot change parent of active snapshot "${key}" on commit`)
  const row = tx.get<Row>(rowKey(parent))
  if (row === undefined) throw notFound(`failed to commit snapshot: missing parent "${parent}" of snapshot "${key}"`)
  if (row.kind !== 'committed')
    throw failedPrecondition(`failed to commit snapshot: parent "${parent}" is not committed`)
  return { parent, parentIds: [row.id, ...row.parentIds] }
}

/** Why a snapshot others build on stays; tools look for the word "remove". */
export function hasChild(name: string): Error {
  return failedPrecondition(`failed to remove snapshot ${name}: cannot remove snapshot with child`)
}
