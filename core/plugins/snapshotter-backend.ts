/**
 * A snapshotter's process as the snapshots front sees it. A call that meets the process dying is repeated once; the
 * verbs that change something then look whether the first try went through: the keys they use are unique for ever, so
 * what is there under such a key is theirs.
 */
import { isGantryError } from '#api/errors/errors.ts'
import { type Mount, proxyBackend, type SnapshotInfo, type SnapshotterBackend } from '#core/snapshots/snapshots.ts'
import type { Plugins } from './plugins.ts'

/** Calls `id` through `plugins`, which starts it at the first call. */
export function snapshotterBackend(plugins: Pick<Plugins, 'call'>, id: string): SnapshotterBackend {
  return new RepeatingBackend(plugins, id)
}

type Verb<T> = (backend: SnapshotterBackend) => Promise<T>
type Make = SnapshotterBackend['prepare']

class RepeatingBackend implements SnapshotterBackend {
  readonly #plugins: Pick<Plugins, 'call'>
  readonly #id: string

  constructor(plugins: Pick<Plugins, 'call'>, id: string) {
    this.#plugins = plugins
    this.#id = id
  }

  prepare(...args: Parameters<Make>): Promise<Mount[]> {
    return this.#make('Prepare', args[0], backend => backend.prepare(...args))
  }

  view(...args: Parameters<Make>): Promise<Mount[]> {
    return this.#make('View', args[0], backend => backend.view(...args))
  }

  #make(method: string, key: string, verb: Verb<Mount[]>): Promise<Mount[]> {
    return this.#call(method, verb, async backend => {
      try {
        return await verb(backend)
      } catch (error) {
        // A layer supplied by a remote snapshotter is told by this very code, without the key being there.
        if (!isGantryError(error, 'ALREADY_EXISTS') || !(await exists(backend, key))) throw error
        return await backend.mounts(key)
      }
    })
  }

  commit(...args: Parameters<SnapshotterBackend['commit']>): Promise<void> {
    const [name, key] = args
    return this.#call(
      'Commit',
      backend => backend.commit(...args),
      async backend => {
        const through = (await exists(backend, name)) && !(await exists(backend, key))
        if (!through) await backend.commit(...args)
      },
    )
  }

  remove(key: string): Promise<void> {
    return this.#call(
      'Remove',
      backend => backend.remove(key),
      async backend => {
        if (await exists(backend, key)) await backend.remove(key)
      },
    )
  }

  stat(...args: Parameters<SnapshotterBackend['stat']>): Promise<SnapshotInfo> {
    return this.#call('Stat', backend => backend.stat(...args))
  }

  update(...args: Parameters<SnapshotterBackend['update']>): Promise<SnapshotInfo> {
    return this.#call('Update', backend => backend.update(...args))
  }

  mounts(...args: Parameters<SnapshotterBackend['mounts']>): Promise<Mount[]> {
    return this.#call('Mounts', backend => backend.mounts(...args))
  }

  usage(...args: Parameters<SnapshotterBackend['usage']>): ReturnType<SnapshotterBackend['usage']> {
    return this.#call('Usage', backend => backend.usage(...args))
  }

  cleanup(): Promise<void> {
    return this.#call('Cleanup', backend => backend.cleanup())
  }

  /** All at once: a list that broke in its middle could not be repeated otherwise. */
  async *list(...args: Parameters<SnapshotterBackend['list']>): AsyncIterable<SnapshotInfo> {
    yield* await this.#call('List', backend => collect(backend.list(...args)))
  }

  #call<T>(method: string, verb: Verb<T>, again: Verb<T> = verb): Promise<T> {
    return this.#plugins.call(
      'snapshotter',
      this.#id,
      method,
      channel => verb(proxyBackend(this.#id, channel)),
      channel => again(proxyBackend(this.#id, channel)),
    )
  }
}

async function exists(backend: SnapshotterBackend, key: string): Promise<boolean> {
  try {
    await backend.stat(key)
    return true
  } catch (error) {
    if (isGantryError(error, 'NOT_FOUND')) return false
    throw error
  }
}

async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const found: T[] = []
  for await (const item of items) found.push(item)
  return found
}
