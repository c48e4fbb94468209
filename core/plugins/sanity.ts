/** Whether a plugin that answers can also do its work: the smallest piece of it that its kind has. */
import { failedPrecondition, isGantryError } from '#api/errors/errors.ts'
import { NetworkPluginServiceDefinition } from '#api/gen/gantry/network/v1/network.ts'
import { type Channel, createClient } from '#api/rpc/client.ts'
import { proxyBackend } from '#core/snapshots/snapshots.ts'
import type { PluginSpec } from './spec.ts'

/** No check of ours takes longer on a machine that is of any use. */
const checkMs = 20_000

/** On an empty root: makes something and takes it away again. */
export async function checkOnTrial(spec: PluginSpec, channel: Channel): Promise<void> {
  if (spec.kind !== 'snapshotter') return await checkAtWork(spec, channel)
  const snapshotter = proxyBackend(spec.id, limited(channel))
  const key = 'trial/1/active'
  const mounts = await snapshotter.prepare(key, '', {})
  if (mounts.length === 0) throw failedPrecondition(`it prepared a snapshot without any mount`)
  const { kind } = await snapshotter.stat(key)
  if (kind !== 'active') throw failedPrecondition(`it calls a prepared snapshot "${kind}"`)
  await snapshotter.remove(key)
}

/** On the real root: only asks. */
export async function checkAtWork(spec: PluginSpec, channel: Channel): Promise<void> {
  if (spec.kind === 'snapshotter') await refusesUnknown(spec, channel)
  if (spec.kind === 'network') await createClient(NetworkPluginServiceDefinition, limited(channel)).status({})
}

async function refusesUnknown(spec: PluginSpec, channel: Channel): Promise<void> {
  try {
    await proxyBackend(spec.id, limited(channel)).stat('trial/1/nobody')
  } catch (error) {
    if (isGantryError(error, 'NOT_FOUND')) return
    throw error
  }
  throw failedPrecondition('it says that a snapshot is there which nobody made')
}

function limited(channel: Channel): Channel {
  return { ...channel, defaults: { ...channel.defaults, deadlineMs: checkMs } }
}
