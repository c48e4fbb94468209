/** Differs of plugins, reached through the supervisor. */
import { unavailable } from '#api/errors/errors.ts'
import { type Differ, type OfferedDiffer, proxyDiffer } from '#core/diff/diff.ts'
import type { Plugins } from './plugins.ts'

/** Words with a slash among a differ's capabilities are the media types it reads and writes. */
export function offeredDiffers(plugins: Pick<Plugins, 'list'>): OfferedDiffer[] {
  return plugins
    .list()
    .filter(({ kind, state }) => kind === 'differ' && state !== 'disabled')
    .map(({ id, capabilities }) => ({ id, mediaTypes: capabilities.filter(word => word.includes('/')) }))
}

/** A call that meets the process dying is not repeated: what it wrote before is a tree that must go first. */
export function differBackend(plugins: Pick<Plugins, 'call'>, id: string): Differ {
  const call = <T>(method: string, perform: (differ: Differ) => Promise<T>) =>
    plugins.call(
      'differ',
      id,
      method,
      channel => perform(proxyDiffer(`differ "${id}"`, channel)),
      async () => {
        throw unavailable(`differ "${id}" ended during ${method}; what it wrote is to be thrown away`)
      },
    )
  return {
    apply: (...args) => call('Apply', differ => differ.apply(...args)),
    diff: (...args) => call('Diff', differ => differ.diff(...args)),
  }
}
