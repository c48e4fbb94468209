/**
 * A snapshotter's process as the snapshots front sees it. A call that meets the process dying is repeated once; the
 * verbs that change something then look whether the first try went through: the keys they use are unique for ever, so
 * what is there under such a key is theirs.
 */
import { dataLoss, isGantryError } from '#api/errors/errors.ts'
import { type Info, Kind, SnapshotsDefinition } from '#api/gen/containerd/services/snapshots/v1/snapshots.ts'
import { type CallOptions, type Channel, type Client, createClient } from '#api/rpc/client.ts'
import type { Mount, SnapshotInfo, SnapshotterBackend } from '#core/snapshots/snapshots.ts'
import type { Plugins } from './plugins.ts'
import { callTwice } from './retry.ts'

type SnapshotsClient = Client<typeof SnapshotsDefinition>

/** Calls `id` through `plugins`, which starts it at the first call. */
export function snapshotterBackend(plugins: Pick<Plugins, 'channelFor' | 'suspect'>, id: string): SnapshotterBackend {
  const ref = { plugins, kind: 'snapshotter', id } as const
  const snapshotter = id
  const clients = new WeakMap<Channel, SnapshotsClient>()
  const on = (channel: Channel): SnapshotsClient => {
    const client = clients.get(channel) ?? createClient(SnapshotsDefinition, channel)
    clients.set(channel, client)
    return client
  }
  const call = <T>(body: (client: SnapshotsClient) => Promise<T>, again = body) =>
    callTwice(
      ref,
      channel => body(on(channel)),
      channel => again(on(channel)),
    )

  const make =
    (verb: 'prepare' | 'view'): SnapshotterBackend['prepare'] =>
    (key, parent, labels, signal) => {
      const request = { snapshotter, key, parent, labels: { ...labels } }
      const first = async (client: SnapshotsClient): Promise<Mount[]> =>
        (await client[verb](request, options(key, signal))).mounts
      return call(first, async client => {
        try {
          return await first(client)
        } catch (error) {
          // A layer supplied by a remote snapshotter is told by this very code, without the key being there.
          if (!isGantryError(error, 'ALREADY_EXISTS') || !(await exists(client, key))) throw error
          return (await client.mounts({ snapshotter, key }, options(key, signal))).mounts
        }
      })
    }
  const exists = (client: SnapshotsClient, key: string) =>
    client.stat({ snapshotter, key }, options(key)).then(
      () => true,
      (error: unknown) => {
        if (isGantryError(error, 'NOT_FOUND')) return false
        throw error
      },
    )

  return {
    prepare: make('prepare'),
    view: make('view'),
    commit(name, key, { labels, parent }) {
      const first = async (client: SnapshotsClient) =>
        void (await client.commit({ snapshotter, name, key, parent, labels: { ...labels } }, options(key)))
      return call(first, async client => {
        if ((await exists(client, name)) && !(await exists(client, key))) return
        await first(client)
      })
    },
    remove(key) {
      const first = async (client: SnapshotsClient) => void (await client.remove({ snapshotter, key }, options(key)))
      return call(first, client => first(client).catch(ignore('NOT_FOUND')))
    },
    stat: (key, signal) =>
      call(async client => fromWire((await client.stat({ snapshotter, key }, options(key, signal))).info)),
    update: ({ name, labels }, fieldPaths) =>
      call(async client => {
        const request = { snapshotter, info: { name, labels: { ...labels } }, updateMask: [...fieldPaths] }
        return fromWire((await client.update(request, options(name))).info)
      }),
    list: (filters, signal) =>
      listAll(() => call(client => collect(client, { snapshotter, filters: [...(filters ?? [])] }, signal))),
    mounts: (key, signal) =>
      call(async client => (await client.mounts({ snapshotter, key }, options(key, signal))).mounts),
    usage: (key, signal) =>
      call(async client => {
        const { size, inodes } = await client.usage({ snapshotter, key }, options(key, signal))
        return { sizeBytes: size, inodes }
      }),
    cleanup: () => call(async client => void (await client.cleanup({ snapshotter }))),
  }
}

/** Keys start with their tenant namespace, which foreign snapshotters may insist on having in the header. */
function options(key: string, signal?: AbortSignal): CallOptions {
  const [namespace = ''] = key.split('/', 1)
  return { signal, ...(namespace !== key && namespace !== '' && { namespace }) }
}

function ignore(code: 'NOT_FOUND'): (error: unknown) => void {
  return error => {
    if (!isGantryError(error, code)) throw error
  }
}

/** All at once: a list that breaks in its middle could not be repeated otherwise. */
async function collect(
  client: SnapshotsClient,
  request: { snapshotter: string; filters: string[] },
  signal: AbortSignal | undefined,
): Promise<SnapshotInfo[]> {
  const found: SnapshotInfo[] = []
  for await (const { info } of client.list(request, { signal })) found.push(...info.map(fromWire))
  return found
}

async function* listAll(all: () => Promise<SnapshotInfo[]>): AsyncIterable<SnapshotInfo> {
  yield* await all()
}

const kinds: Readonly<Record<number, SnapshotInfo['kind']>> = {
  [Kind.ACTIVE]: 'active',
  [Kind.VIEW]: 'view',
  [Kind.COMMITTED]: 'committed',
}
const epoch = { seconds: 0n, nanos: 0 }

/** DATA_LOSS for an answer without description or kind, which no sound snapshotter gives. */
function fromWire(info: Info | undefined): SnapshotInfo {
  const kind = info && kinds[info.kind]
  if (info === undefined || kind === undefined)
    throw dataLoss(`the snapshotter described "${info?.name ?? ''}" without saying what it is`)
  const { name, parent, labels, createdAt = epoch, updatedAt = epoch } = info
  return { name, parent, kind, createdAt, updatedAt, labels }
}
