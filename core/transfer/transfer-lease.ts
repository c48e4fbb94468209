/** The lease that holds a transfer's objects until an image refers to them. */
import { randomBytes } from 'node:crypto'
import { isGantryError } from '#api/errors/errors.ts'
import type { Leases } from '#core/leases/leases.ts'

/** Longest life of a lease whose maker died. */
const lifetimeMs = 24 * 3600 * 1000

export interface HeldLease extends AsyncDisposable {
  readonly id: string
}

/** The caller's lease, left alone at the end; or a new one, deleted then. */
export async function holdLease(leases: Leases, ns: string, given: string | undefined): Promise<HeldLease> {
  if (given !== undefined) return { id: given, [Symbol.asyncDispose]: async () => {} }
  const expire = new Date(Date.now() + lifetimeMs).toISOString().replace(/\.\d+Z$/, 'Z')
  const id = `transfer-${randomBytes(8).toString('hex')}`
  await leases.create(ns, { id, labels: { 'containerd.io/gc.expire': expire } })
  return {
    id,
    async [Symbol.asyncDispose]() {
      await leases.delete(ns, id).catch(ignoreMissing)
    },
  }
}

function ignoreMissing(error: unknown): void {
  if (!isGantryError(error, 'NOT_FOUND')) throw error
}
