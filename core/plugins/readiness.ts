/** Whether a plugin serves, and who it is. */
import { existsSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { deadlineExceeded, failedPrecondition, isGantryError, unavailable } from '#api/errors/errors.ts'
import { type GetInfoResponse, PluginServiceDefinition } from '#api/gen/gantry/plugin/v1/plugin.ts'
import { HealthDefinition, HealthCheckResponse_ServingStatus as Status } from '#api/gen/grpc/health/v1/health.ts'
import { type Channel, createClient } from '#api/rpc/client.ts'
import type { PluginProcess } from './plugin-process.ts'
import type { PluginSpec } from './plugins.ts'

const pollMs = 10
const infoMs = 1_000

/** Resolves when the process serves. FAILED_PRECONDITION: it ended first. DEADLINE_EXCEEDED: it took longer. */
export async function untilServing(channel: Channel, process: PluginProcess, timeoutMs: number): Promise<void> {
  const socket = channel.address.replace(/^unix:(\/\/)?/, '')
  for (const deadline = Date.now() + timeoutMs; ; await sleep(pollMs)) {
    if (process.ended !== undefined) throw failedPrecondition(`it ${process.ended} before it served`)
    const leftMs = deadline - Date.now()
    if (leftMs <= 0) throw deadlineExceeded(`it did not pass its health check within ${timeoutMs} ms`)
    if (existsSync(socket) && (await isServing(channel, leftMs))) return
  }
}

/** False while it cannot be reached or says so. A server without the health service is taken at its word: it answers. */
export async function isServing(channel: Channel, deadlineMs: number): Promise<boolean> {
  try {
    const { status } = await createClient(HealthDefinition, channel).check({ service: '' }, { deadlineMs })
    return status === Status.SERVING
  } catch (error) {
    return isGantryError(error, 'NOT_IMPLEMENTED')
  }
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
