/**
 * A durable ordered key-value store in one folder, over LMDB: one writer at a time, readers never wait, a crash
 * at any instant leaves the last completed write. What bbolt is to containerd.
 *
 * Keys are tuples, ordered element by element (numbers before strings), so that `['image', ns, name]` lists by
 * the prefix `['image', ns]`. Values are structured: objects, arrays, strings, numbers, bigints, Buffers.
 *
 * This is the only module that touches lmdb, and it does so with synchronous transactions alone: lmdb's
 * `transaction()` keeps the writes of a callback that throws. A write costs about 0.2 ms, fsync included.
 */
import { mkdirSync, statfsSync } from 'node:fs'
import { type Database, open } from 'lmdb'
import { invalidArgument, resourceExhausted } from '../errors/errors.ts'
import { step } from '../trace/spans.ts'

export type Key = readonly (string | number)[]

export interface ListOptions {
  /** First key to list, itself included; must lie under the prefix. */
  start?: Key
  /** At most so many. Default: all. */
  limit?: number
}

/** What a transaction may read: the state at its start, and its own writes. */
export interface ReadTransaction {
  /** The value, or undefined. The type is the caller's promise: rooms read only what they wrote. */
  get<T>(key: Key): T | undefined
  /** Entries whose key starts with `prefix` (the prefix itself left out), in order of their keys. */
  list<T>(prefix: Key, options?: ListOptions): Iterable<{ key: Key; value: T }>
}

export interface WriteTransaction extends ReadTransaction {
  put(key: Key, value: unknown): void
  /** True when there was something to delete. */
  delete(key: Key): boolean
}

export interface Store {
  read<T>(body: (transaction: ReadTransaction) => T): T
  /**
   * All or nothing: when `body` throws, nothing of it is kept, and the error is passed on. When it returns, its
   * writes are on disk. `body` is synchronous and short: everybody else's writes wait.
   */
  write<T>(body: (transaction: WriteTransaction) => T): T
  close(): Promise<void>
}

export interface StoreOptions {
  /** Largest size of the file; address space, not disk. Default 16 GiB. */
  mapSizeBytes?: number
}

type MutableKey = (string | number)[]
type Records = Database<unknown, MutableKey>

/** Opens the store in `folder` (made with mode 0700 when missing). One process at a time may write. */
export function openStore(folder: string, { mapSizeBytes = 16 * 1024 ** 3 }: StoreOptions = {}): Store {
  mkdirSync(folder, { recursive: true, mode: 0o700 })
  const database = open({
    path: folder,
    encoding: 'msgpack',
    // Objects as maps: msgpackr's records say their shape in each value, and reading one takes twice as long. Both are read.
    encoder: { useRecords: false },
    mapSize: mapSizeBytes,
    // Long names make long keys; LMDB's page of 8 KiB allows keys of 4 KiB minus some.
    pageSize: 8192,
    keyEncoding: 'ordered-binary',
  }) as Records
  const transaction = transactionOver(database)
  return {
    read: body => body(transaction),
    write: body => step('commit to the store', () => writeThrough(database, folder, () => body(transaction))),
    close: () => database.close(),
  }
}

/** errno ENOSPC, and LMDB's own MDB_MAP_FULL. */
const fullCodes: unknown[] = [28, -30792]
/** errno EIO: also what LMDB says of a write that was cut short by a full disk. */
const ioError = 5

function isFull(cause: unknown, folder: string): boolean {
  const { code } = cause as { code?: unknown }
  if (code !== ioError) return fullCodes.includes(code)
  const { bavail, bsize } = statfsSync(folder)
  return bavail * bsize < 64 * 1024
}

/** transactionSync rolls back when its callback throws. RESOURCE_EXHAUSTED when the disk or the map is full. */
function writeThrough<T>(database: Records, folder: string, body: () => T): T {
  let outcome: { value: T } | undefined
  try {
    database.transactionSync(() => {
      const value = body()
      if (value instanceof Promise) throw new TypeError('the body of Store.write must be synchronous')
      outcome = { value }
    })
  } catch (cause) {
    if (!isFull(cause, folder)) throw cause
    throw resourceExhausted(`the disk under ${folder} is full; free some space and try again`, { cause })
  }
  if (outcome === undefined) throw new Error('the store did not run the transaction')
  return outcome.value
}

/** LMDB takes 4026 with our page size; the rest is room for what the encoding adds. Nothing longer is in the store. */
const maxKeyBytes = 4000

function fits(key: Key): boolean {
  return (
    key.reduce<number>((sum, part) => sum + (typeof part === 'number' ? 10 : 2 + Buffer.byteLength(part)), 0) <=
    maxKeyBytes
  )
}

function transactionOver(database: Records): WriteTransaction {
  return {
    get: <T>(key: Key) => (fits(key) ? (database.get(key as MutableKey) as T | undefined) : undefined),
    list: <T>(prefix: Key, options?: ListOptions) => (fits(prefix) ? list<T>(database, prefix, options) : []),
    put(key, value) {
      if (!fits(key))
        throw invalidArgument(`a name is too long: ${`${key.at(-1)}`.slice(0, 60)}… (at most ${maxKeyBytes} bytes)`)
      database.putSync(key as MutableKey, value)
    },
    delete: key => fits(key) && database.removeSync(key as MutableKey),
  }
}

/** Copied out at once: lmdb's own cursors must not outlive a write that happens between two steps. */
function list<T>(database: Records, prefix: Key, { start, limit }: ListOptions = {}) {
  const found: { key: Key; value: T }[] = []
  for (const { key, value } of database.getRange({ start: (start ?? prefix) as MutableKey, snapshot: false })) {
    if (!startsWith(key, prefix)) break
    if (key.length === prefix.length) continue
    found.push({ key, value: value as T })
    if (limit !== undefined && found.length >= limit) break
  }
  return found
}

function startsWith(key: Key, prefix: Key): boolean {
  return key.length >= prefix.length && prefix.every((part, index) => key[index] === part)
}
