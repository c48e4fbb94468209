/** `GET /events`. */
import type { ServerResponse } from 'node:http'
import type { ApiVersion } from '../http/api-version.ts'
import { badRequest } from '../http/http-error.ts'
import { Query } from '../http/query.ts'
import type { App, Reply, Request } from '../http/routes.ts'
import { eventFilter } from './event-filter.ts'
import { eventLine } from './event-json.ts'
import type { EventLog, LoggedEvent } from './event-log.ts'
import { parseTimestamp } from './timestamps.ts'

export function eventRoutes(log: EventLog): (app: App) => void {
  return app => {
    app.get('/events', (request, reply) => sendEvents(log, request, reply))
  }
}

/** Answers at once, and then whatever happens: clients wait for the head before they do what they want to hear of. */
async function sendEvents(log: EventLog, request: Request, reply: Reply): Promise<Reply> {
  const query = new Query(request)
  const { fits, curious } = eventFilter(query)
  const [since, until] = [timeOf(query, 'since'), timeOf(query, 'until')]
  if (since !== undefined && until !== undefined && since > until)
    throw badRequest(`\`since\` time (${query.text('since')}) cannot be after \`until\` time (${query.text('until')})`)
  reply.hijack()
  const response = reply.raw
  response.writeHead(200, { ...headersOf(reply), 'Content-Type': 'application/json' })
  response.flushHeaders()
  await new EventStream(log, response, { fits, curious, since, until, version: request.apiVersion }).run()
  return reply
}

function timeOf(query: Query, name: string): bigint | undefined {
  const text = query.text(name)
  return text === '' || text === '0' ? undefined : parseTimestamp(text)
}

function headersOf(reply: Reply): Record<string, string> {
  return Object.fromEntries(Object.entries(reply.getHeaders()).map(([name, value]) => [name, String(value)]))
}

interface StreamOptions {
  fits: (event: LoggedEvent) => boolean
  /** It may fit what is only told. */
  curious: boolean
  since: bigint | undefined
  until: bigint | undefined
  version: ApiVersion
}

/** Bytes that may wait for a slow reader; past it the reader is let go, as it would miss events anyway. */
const maxWaitingBytes = 16 * 1024 * 1024

class EventStream {
  readonly #log: EventLog
  readonly #response: ServerResponse
  readonly #options: StreamOptions

  constructor(log: EventLog, response: ServerResponse, options: StreamOptions) {
    this.#log = log
    this.#response = response
    this.#options = options
  }

  /** The past first, then the present: nothing between them is lost or told twice. */
  async run(): Promise<void> {
    const { since, until, curious } = this.#options
    const early: LoggedEvent[] = []
    let tell = (event: LoggedEvent): void => void early.push(event)
    using _listening = this.#log.listen(event => tell(event), { curious })
    let last = 0n
    if (since !== undefined)
      for (const event of await this.#log.since(since)) {
        this.#send(event)
        last = event.timeNano
      }
    for (const event of early) if (event.timeNano > last) this.#send(event)
    tell = event => this.#send(event)
    await this.#over(until)
    this.#response.end()
  }

  #send(event: LoggedEvent): void {
    const { fits, until, version } = this.#options
    if (!fits(event) || (until !== undefined && event.timeNano > until)) return
    this.#response.write(eventLine(event, version))
    if (this.#response.writableLength > maxWaitingBytes) this.#response.destroy()
  }

  async #over(until: bigint | undefined): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#response.once('close', resolve)
    if (this.#response.destroyed) resolve()
    if (until === undefined) return promise
    const waitMs = Number(until / 1_000_000n) - Date.now()
    // Longer than a timer can wait is as good as forever.
    const timer = waitMs < 2 ** 31 ? setTimeout(resolve, Math.max(0, waitMs)) : undefined
    await promise
    clearTimeout(timer)
  }
}
