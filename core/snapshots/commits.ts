/**
 * Commits, across two stores that share no transaction. The intent is recorded first; the backend's answer, or later
 * its state, decides whether the record follows.
 */

import { KeyedLock } from '#api/concurrency/keyed-lock.ts'
import { alreadyExists, failedPrecondition, invalidArgument, isGantryError, notFound } from '#api/errors/errors.ts'
import { addToLease, removeFromLease, snapshotResource } from '#core/leases/leases.ts'
import {
  type CommitIntent,
  type Key,
  namespaceNames,
  now,
  objectKey,
  type ReadTransaction,
  type WriteTransaction,
  withoutEmpty,
} from '#core/metadata/metadata.ts'
import type { FrontContext } from './context.ts'
import { visibleToBackend } from './labels.ts'
import { SnapshotRecords } from './records.ts'
import type { SnapshotOptions, SnapshotterBackend } from './snapshots.ts'

type CommitOptions = SnapshotOptions & { parent?: string | undefined }

interface Begun {
  readonly intent: CommitIntent
  readonly backendKey: string
  /** Backend's name of the parent a rebase sets; empty for none. */
  readonly newParent: string
}

/** Errors after which the backend may have committed all the same. */
const undecided = ['UNAVAILABLE', 'DEADLINE_EXCEEDED', 'CANCELED', 'UNKNOWN', 'INTERNAL'] as const

export class Commits {
  readonly #context: FrontContext
  readonly #locks = new KeyedLock()
  #unsettled = true

  constructor(context: FrontContext) {
    this.#context = context
  }

  /** See `NamespacedSnapshotter.commit`. A second commit to the same name waits for the first. */
  commit(backend: SnapshotterBackend, ns: string, name: string, key: string, options: CommitOptions): Promise<void> {
    return this.#locks.run(JSON.stringify([ns, name]), () => this.#commit(backend, ns, name, key, options))
  }

  isCommitting(tx: ReadTransaction, ns: string, key: string): boolean {
    return tx.get(this.#intentKey(ns, key)) !== undefined
  }

  /** Backend names that may be about to be recorded. */
  intendedNames(tx: ReadTransaction, ns: string): string[] {
    return this.#intents(tx, ns).map(({ intent }) => intent.backendName)
  }

  /** Finishes or drops what an earlier run, or an undecided error, left. To be called before the backend is used. */
  async settle(backend: SnapshotterBackend): Promise<void> {
    if (!this.#unsettled) return
    this.#unsettled = false
    try {
      for (const { ns, key, intent } of this.#context.metadata.read(tx => this.#allIntents(tx)))
        if (!this.#context.making.has(intent.backendName)) await this.#settleLeftOver(backend, ns, key, intent)
    } catch (error) {
      this.#unsettled = true
      throw error
    }
  }

  async #commit(
    backend: SnapshotterBackend,
    ns: string,
    name: string,
    key: string,
    options: CommitOptions,
  ): Promise<void> {
    const { intent, backendKey, newParent } = this.#begin(ns, name, key, options)
    using _making = this.#context.making.announce(intent.backendName)
    try {
      const labels = visibleToBackend(intent.labels)
      await backend.commit(intent.backendName, backendKey, { labels, parent: newParent })
    } catch (error) {
      this.#context.markDirty()
      if (undecided.some(code => isGantryError(error, code))) return await this.#decide(backend, ns, key, intent, error)
      this.#drop(ns, key)
      throw error
    }
    this.#finish(ns, key, intent)
  }

  /** ALREADY_EXISTS, with the snapshot leased, when the name is taken. */
  #begin(ns: string, name: string, key: string, options: CommitOptions): Begun {
    const { metadata, name: snapshotter } = this.#context
    const sequence = metadata.nextSequence()
    const begun = metadata.write(tx => {
      addToLease(tx, ns, options.lease, snapshotResource(snapshotter, name))
      if (this.#records(ns).find(tx, name) !== undefined) return undefined
      const begun = this.#plan(tx, ns, name, key, sequence, options)
      tx.put(this.#intentKey(ns, key), begun.intent)
      return begun
    })
    if (begun === undefined) throw alreadyExists(`snapshot "${name}"`)
    return begun
  }

  #plan(
    tx: ReadTransaction,
    ns: string,
    name: string,
    key: string,
    sequence: number,
    { labels = {}, parent = '', lease }: CommitOptions,
  ): Begun {
    const active = this.#records(ns).require(tx, key)
    if (active.kind !== 'active')
      throw failedPrecondition(`failed to commit snapshot: snapshot "${active.backendKey}" is not active`)
    if (this.isCommitting(tx, ns, key)) throw failedPrecondition(`snapshot "${key}" is being committed already`)
    const rebase = active.parent === '' && parent !== ''
    if (!rebase && parent !== '' && parent !== active.parent)
      throw invalidArgument(
        `snapshot "${key}" was prepared on "${active.parent}", it cannot be committed on "${parent}"`,
      )
    const intent: CommitIntent = {
      name,
      sequence,
      backendName: `${ns}/${sequence}/${name}`,
      labels: withoutEmpty(labels),
      parent: rebase ? parent : active.parent,
      ...(lease === undefined ? {} : { lease }),
    }
    const newParent = rebase ? this.#records(ns).requireParent(tx, parent).backendKey : ''
    return { intent, backendKey: active.backendKey, newParent }
  }

  async #decide(
    backend: SnapshotterBackend,
    ns: string,
    key: string,
    intent: CommitIntent,
    failure: unknown,
  ): Promise<void> {
    const committed = await this.#settleOne(backend, ns, key, intent).catch(() => {
      this.#unsettled = true
      return false
    })
    if (!committed) throw failure
  }

  /** Nobody waits for it any more: that its name was taken meanwhile is no failure of the present call. */
  async #settleLeftOver(backend: SnapshotterBackend, ns: string, key: string, intent: CommitIntent): Promise<void> {
    try {
      await this.#settleOne(backend, ns, key, intent)
    } catch (error) {
      if (!isGantryError(error, 'ALREADY_EXISTS') && !isGantryError(error, 'NOT_FOUND')) throw error
    }
  }

  /** Asks the backend which it holds. True when it had committed. */
  async #settleOne(backend: SnapshotterBackend, ns: string, key: string, intent: CommitIntent): Promise<boolean> {
    const committed = await backend.stat(intent.backendName).then(
      () => true,
      (error: unknown) => {
        if (isGantryError(error, 'NOT_FOUND')) return false
        throw error
      },
    )
    this.#context.logger.warn(
      { ns, key, name: intent.name, committed },
      'a commit was cut off; its outcome is known now',
    )
    if (committed) this.#finish(ns, key, intent)
    else this.#drop(ns, key)
    return committed
  }

  /** The active record becomes the committed one; the lease has its name since the intent. */
  #finish(ns: string, key: string, intent: CommitIntent): void {
    const obstacle = this.#context.metadata.write(tx => this.#recordCommitted(tx, ns, key, intent))
    if (obstacle === undefined) return
    this.#context.markDirty()
    throw obstacle
  }

  /** The name may have been taken, and the active snapshot collected, while the backend worked: both are told. */
  #recordCommitted(tx: WriteTransaction, ns: string, key: string, intent: CommitIntent): Error | undefined {
    const { name, sequence, backendName: backendKey, parent, labels, lease } = intent
    const records = this.#records(ns)
    const active = records.find(tx, key)
    tx.delete(this.#intentKey(ns, key))
    if (active === undefined) return notFound(`snapshot ${key} does not exist`)
    records.delete(tx, key, active)
    if (records.find(tx, name) !== undefined) return alreadyExists(`snapshot "${name}"`)
    removeFromLease(tx, ns, lease, snapshotResource(this.#context.name, key))
    const at = now()
    records.put(tx, name, { sequence, backendKey, kind: 'committed', parent, createdAt: at, updatedAt: at, labels })
    return undefined
  }

  #drop(ns: string, key: string): void {
    this.#context.metadata.write(tx => tx.delete(this.#intentKey(ns, key)))
  }

  #allIntents(tx: ReadTransaction) {
    return namespaceNames(tx).flatMap(ns => this.#intents(tx, ns))
  }

  #intents(tx: ReadTransaction, ns: string) {
    return Array.from(tx.list<CommitIntent>(this.#intentKey(ns)), ({ key, value: intent }) => ({
      ns,
      key: String(key.at(-1)),
      intent,
    }))
  }

  #intentKey(ns: string, ...key: string[]): Key {
    return objectKey(ns, 'commits', this.#context.name, ...key)
  }

  #records(ns: string): SnapshotRecords {
    return new SnapshotRecords(ns, this.#context.name)
  }
}
