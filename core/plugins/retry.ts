import { isGantryError } from '#api/errors/errors.ts'
import type { Channel } from '#api/rpc/client.ts'
import type { PluginKind, Plugins } from './plugins.ts'

/** Which plugin a call goes to. */
export interface PluginRef {
  readonly plugins: Pick<Plugins, 'channelFor' | 'suspect'>
  readonly kind: PluginKind
  readonly id: string
}

/**
 * A call, and once more when the plugin died during it. `again` is what to do the second time, when a plain repetition
 * would stumble over what the first may have done; default: the same call.
 */
export async function callTwice<T>(
  { plugins, kind, id }: PluginRef,
  call: (channel: Channel) => Promise<T>,
  again: (channel: Channel) => Promise<T> = call,
): Promise<T> {
  const channel = await plugins.channelFor(kind, id)
  try {
    return await call(channel)
  } catch (error) {
    if (!isGantryError(error, 'UNAVAILABLE') || !(await plugins.suspect(kind, id))) throw error
    return await again(await plugins.channelFor(kind, id))
  }
}
