/**
 * Probes by the engine, for images without a shell or curl (beyond Docker): a check that is nothing but an address,
 * `--health-cmd tcp://:5432` or `--health-cmd http://:8080/health`. They reach the container alone, at its first address.
 */
import { request } from 'node:http'
import { connect, type Socket } from 'node:net'
import { messageOf } from '#api/errors/errors.ts'
import type { Found } from '../containers/store.ts'

export interface NetworkProbe {
  kind: 'tcp' | 'http'
  url: URL
}

export interface ProbeOutcome {
  exitCode: number
  output: string
}

/** Docker keeps so much of what a probe says. */
const maxOutputBytes = 4096

/** Undefined for a check that is a command. */
export function parseNetworkProbe(test: readonly string[]): NetworkProbe | undefined {
  const [form, text = '', ...rest] = test
  if ((form !== 'CMD' && form !== 'CMD-SHELL') || rest.length > 0) return undefined
  const [, kind, port] = /^(tcp|http):\/\/(?:localhost)?(?::(\d{1,5}))?(?:\/\S*)?$/.exec(text.trim()) ?? []
  if (kind === undefined || (kind === 'tcp' && port === undefined)) return undefined
  const url = URL.parse(text.trim().replace(/^(\w+:\/\/)(?=[:/])/, '$1localhost'))
  return url ? { kind: kind as NetworkProbe['kind'], url } : undefined
}

/** Where the container is reached from the host; what listens on its loopback alone is not. Empty: nowhere. */
export function addressOf({ core, record }: Pick<Found, 'core' | 'record'>): string {
  if (record.hostConfig.NetworkMode === 'host') return '127.0.0.1'
  const [first] = core.attachments.flatMap(({ result }) => result?.ips ?? [])
  return first?.address.split('/')[0] ?? ''
}

/** Never throws: 0 is healthy, 1 is not. */
export async function runNetworkProbe(
  { kind, url }: NetworkProbe,
  host: string,
  timeoutMs: number,
): Promise<ProbeOutcome> {
  if (host === '') return { exitCode: 1, output: 'the container has no address that can be asked' }
  const signal = AbortSignal.timeout(timeoutMs)
  try {
    return kind === 'tcp' ? await connects(host, Number(url.port), signal) : await answers(host, url, signal)
  } catch (error) {
    const output = signal.aborted ? `Health check exceeded timeout (${timeoutMs / 1000}s)` : messageOf(error)
    return { exitCode: 1, output }
  }
}

async function connects(host: string, port: number, signal: AbortSignal): Promise<ProbeOutcome> {
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  const socket: Socket = connect({ host, port, signal }, resolve)
  socket.once('error', reject)
  try {
    await promise
    return { exitCode: 0, output: `connected to ${host}:${port}` }
  } finally {
    socket.destroy()
  }
}

/** 2xx and 3xx are healthy. */
async function answers(host: string, url: URL, signal: AbortSignal): Promise<ProbeOutcome> {
  const { promise, resolve, reject } = Promise.withResolvers<ProbeOutcome>()
  const path = `${url.pathname}${url.search}`
  const sent = request(
    { host, port: url.port || 80, path, signal, agent: false, headers: { Host: url.host } },
    response => {
      const status = response.statusCode ?? 0
      const chunks: Buffer[] = []
      let size = 0
      const finish = () => {
        const body = Buffer.concat(chunks).toString('utf8', 0, maxOutputBytes)
        resolve({
          exitCode: status >= 200 && status < 400 ? 0 : 1,
          output: `${status} ${response.statusMessage}\n${body}`,
        })
        response.destroy()
      }
      response.on('data', (chunk: Buffer) => {
        chunks.push(chunk)
        size += chunk.length
        if (size >= maxOutputBytes) finish()
      })
      response.on('end', finish)
      response.on('error', reject)
    },
  )
  sent.on('error', reject)
  sent.end()
  return promise
}
