/**
 * Where the checks keep what they make, on a server that is more than a plugin: a containerd, or a gantryd. It keeps things
 * apart by namespace, and collects what no lease holds.
 */
import { randomBytes } from 'node:crypto'
import { isGantryError } from '#api/errors/errors.ts'
import { LeasesDefinition } from '#api/gen/containerd/services/leases/v1/leases.ts'
import { NamespacesDefinition } from '#api/gen/containerd/services/namespaces/v1/namespaces.ts'
import { type ChannelOptions, connect, createClient } from '#api/rpc/client.ts'

/** What to call with; disposed of, it leaves nothing at the server. */
export interface Tenancy extends AsyncDisposable {
  readonly options: Pick<ChannelOptions, 'namespace' | 'lease'>
}

/** In `namespace`; default: one made for this, of a server that has leases, else `default`. */
export async function openTenancy(address: string, namespace?: string): Promise<Tenancy> {
  const own = `gantry-check-${randomBytes(6).toString('hex')}`
  const options = { namespace: namespace ?? own, lease: own }
  using channel = connect(address, { namespace: options.namespace })
  if (!(await leased(() => createClient(LeasesDefinition, channel).create({ id: own }))))
    return { options: { namespace: namespace ?? 'default' }, [Symbol.asyncDispose]: async () => {} }
  return {
    options,
    async [Symbol.asyncDispose]() {
      using closing = connect(address, { namespace: options.namespace })
      await createClient(LeasesDefinition, closing).delete({ id: own, sync: true })
      if (namespace === undefined) await createClient(NamespacesDefinition, closing).delete({ name: own })
    },
  }
}

/** False: the server knows no leases, as a plugin does not. */
async function leased(create: () => Promise<unknown>): Promise<boolean> {
  try {
    await create()
    return true
  } catch (error) {
    if (isGantryError(error, 'NOT_IMPLEMENTED')) return false
    throw error
  }
}
