/** `docker logs`. */

import { once } from 'node:events'
import type { ServerResponse } from 'node:http'
import { type LogLine, nanosecondsOf } from '#api/container-log/log-lines.ts'
import { readLog } from '#api/container-log/log-reader.ts'
import { multiplexedType, rawType } from '../containers/attach.ts'
import type { ContainerParts } from '../containers/containers.ts'
import { isRunning } from '../containers/state.ts'
import type { Found } from '../containers/store.ts'
import { atLeast } from '../http/api-version.ts'
import { badRequest, notImplemented } from '../http/http-error.ts'
import { Query } from '../http/query.ts'
import { pathParameter, type Routes } from '../http/routes.ts'

interface LogsWish {
  follow: boolean
  stdout: boolean
  stderr: boolean
  timestamps: boolean
  details: boolean
  tail: number | undefined
  since: bigint | undefined
  until: bigint | undefined
}

export function logRoutes(parts: ContainerParts): Routes {
  return app => {
    app.get('/containers/:id/logs', async (request, reply) => {
      const query = new Query(request)
      checkStreams(query)
      const found = await parts.store.get(pathParameter(request, 'id'))
      const wish = parseLogsWish(query)
      const path = found.core.paths?.logFile ?? ''
      if (path === '' || isUnreadable(found)) throw notImplemented('configured logging driver does not support reading')
      const gone = new AbortController()
      reply.raw.once('close', () => gone.abort())
      const { Tty } = found.record.config
      const type = Tty ? rawType : multiplexedType
      reply.hijack()
      reply.raw.writeHead(200, {
        ...(reply.getHeaders() as Record<string, string>),
        ...(atLeast(request.apiVersion, '1.42') && { 'Content-Type': type }),
      })
      reply.raw.flushHeaders()
      const ended = wish.follow ? endOf(parts, found, gone.signal) : undefined
      const { tail, since, until } = wish
      for await (const lines of readLog(path, { tail, since, until, ended, signal: gone.signal })) {
        if (gone.signal.aborted) break
        const asked = lines.filter(line => (line.stream === 'stderr' ? wish.stderr : wish.stdout))
        await send(reply.raw, Buffer.concat(asked.map(line => frameOf(line, wish, Tty))))
      }
      reply.raw.end()
      return reply
    })
  }
}

/** Docker's refusal for `cache-disabled`, though the lines are there: the driver sends them from the file. */
function isUnreadable({ record }: Found): boolean {
  const { 'cache-disabled': disabled = '' } = record.hostConfig.LogConfig?.Config ?? {}
  return ['1', 't', 'true'].includes(disabled.toLowerCase())
}

/** A container that does not run writes no more; one that is started again meanwhile is not followed. */
async function endOf(parts: ContainerParts, found: Found, signal: AbortSignal): Promise<void> {
  if (!isRunning(found.state)) return
  try {
    const wait = await parts.waiting.begin(() => parts.store.get(found.id))
    await wait.until(isRunning(wait.found.state) ? 'next-exit' : 'not-running', signal)
  } catch {
    // The client has left, or the container has gone.
  }
}

/** 400 in Docker's words. */
function checkStreams(query: Query): void {
  if (!query.flag('stdout') && !query.flag('stderr'))
    throw badRequest('Bad parameters: you must choose at least one stream')
}

/** 400 in Docker's words. */
function parseLogsWish(query: Query): LogsWish {
  const [stdout, stderr] = [query.flag('stdout'), query.flag('stderr')]
  const tail = query.text('tail')
  return {
    ...{
      stdout,
      stderr,
      follow: query.flag('follow'),
      timestamps: query.flag('timestamps'),
      details: query.flag('details'),
    },
    tail: /^\d+$/.test(tail) ? Number(tail) : undefined,
    since: pointInTime(query.text('since')),
    until: pointInTime(query.text('until')),
  }
}

/** Unix seconds with a fraction, or RFC 3339; 0 and nothing: no limit. */
function pointInTime(text: string): bigint | undefined {
  if (text === '' || text === '0') return undefined
  const [, seconds, fraction = ''] = /^(\d+)(?:\.(\d+))?$/.exec(text) ?? []
  if (seconds !== undefined) return BigInt(seconds) * 1_000_000_000n + BigInt(fraction.padEnd(9, '0').slice(0, 9))
  const at = nanosecondsOf(text)
  if (at === 0n) throw badRequest(`failed to parse value as time: "${text}"`)
  return at
}

/** Resolves when the client can take more. */
async function send(response: ServerResponse, bytes: Buffer): Promise<void> {
  if (bytes.length === 0 || response.write(bytes)) return
  await Promise.race([once(response, 'drain'), once(response, 'close')])
}

function frameOf(line: LogLine, wish: LogsWish, tty: boolean): Buffer {
  const details = wish.details ? `${detailsOf(line.attrs ?? {})} ` : ''
  const text = Buffer.from(`${wish.timestamps ? `${line.time} ` : ''}${details}${line.text}`)
  if (tty) return text
  const header = Buffer.alloc(8)
  header[0] = line.stream === 'stderr' ? 2 : 1
  header.writeUInt32BE(text.length, 4)
  return Buffer.concat([header, text])
}

function detailsOf(attrs: Readonly<Record<string, string>>): string {
  return Object.entries(attrs)
    .map(([key, value]) => `${encodeURIComponent(key)}=${encodeURIComponent(value)}`)
    .sort()
    .join(',')
}
