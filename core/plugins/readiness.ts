/** Whether a plugin serves, and who it is. */
import { existsSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { deadlineExceeded, failedPrecondition, isGantryError, unavailable } from '#api/errors/errors.ts'
import { type GetInfoResponse, PluginServiceDefinition } from '#api/gen/gantry/plugin/v1/plugin.ts'
import { HealthDefinition, HealthCheckResponse_ServingStatus as Status } from '#api/gen/grpc/health/v1/health.ts'
import { type Channel, createClient } from '#api/rpc/client.ts'
import type { PluginProcess } from './plugin-process.ts'
import type { PluginSpec } from './spec.ts'

const pollMs = 10
const infoMs = 1_000

/**
 * Resolves when the process serves; `onAnswer` is called when it first answers at all, be it that it does not serve yet.
 * FAILED_PRECONDITION: it ended first. DEADLINE_EXCEEDED: it took longer.
 */
export async function untilServing(
  channel: Channel,
  process: PluginProcess,
  timeoutMs: number,
  onAnswer: () => void = () => {},
): Promise<void> {
  const socket = channel.address.replace(/^unix:(\/\/)?/, '')
  for (const deadline = Date.now() + timeoutMs; ; await sleep(pollMs)) {
    if (process.ended !== undefined)
      throw failedPrecondition(`it ${process.ended} before it served${await process.lastWords.complaint()}`)
    const leftMs = deadline - Date.now()
    if (leftMs <= 0) throw deadlineExceeded(`it did not pass its health check within ${timeoutMs} ms`)
    const health = existsSync(socket) ? await healthOf(channel, leftMs) : 'silent'
    if (health !== 'silent') onAnswer()
    if (health === 'serving') return
  }
}

export type PluginHealth = 'serving' | 'not serving' | 'silent'

/** `silent` when it cannot be reached. A server without the health service is taken at its word: it answers. */
export async function healthOf(channel: Channel, deadlineMs: number): Promise<PluginHealth> {
  try {
    const { status } = await createClient(HealthDefinition, channel).check({ service: '' }, { deadlineMs })
    return status === Status.SERVING ? 'serving' : 'not serving'
  } catch (error) {
    return isGantryError(error, 'NOT_IMPLEMENTED') ? 'serving' : 'silent'
  }
}

export async function isServing(channel: Channel, deadlineMs: number): Promise<boolean> {
  return (await healthOf(channel, deadlineMs)) === 'serving'
}

/**
 * What the plugin tells about itself; undefined from a server that does not know gantry.plugin.v1, such as a
 * containerd proxy snapshotter. FAILED_PRECONDITION: it is another one than configured. UNAVAILABLE: nobody answers.
 */
export async function identify(channel: Channel, { kind, id }: PluginSpec): Promise<GetInfoResponse | undefined> {
  try {
    const info = await createClient(PluginServiceDefinition, channel).getInfo({}, { deadlineMs: infoMs })
    if (info.kind === kind && info.id === id) return info
    throw failedPrecondition(`it says it is the ${info.kind} "${info.id}"`)
  } catch (error) {
    if (isGantryError(error, 'NOT_IMPLEMENTED')) return undefined
    if (isGantryError(error, 'DEADLINE_EXCEEDED'))
      throw unavailable(`it did not say who it is within ${infoMs} ms`, { cause: error })
    throw error
  }
}
