/** One request to an engine's socket, and all that came of it. */
import { type Agent, request } from 'node:http'
import { patience } from '../../daemon/patience.ts'

export interface Call {
  method: string
  /** With the version, such as `/v1.41/containers/json?all=1`. */
  path: string
  /** Sent as JSON; text is sent as it is, whatever it is. */
  body?: unknown
  headers?: Readonly<Record<string, string>>
  /** An answer that has not ended by then is what came so far. Default: the most that any call may take. */
  patienceMs?: number
}

export interface Answer {
  /** 0: there was none. */
  status: number
  body: Buffer
  headers: Readonly<Record<string, string | string[] | undefined>>
  ended: boolean
}

const defaultMs = 60_000 * patience

export function call(
  socketPath: string,
  agent: Agent,
  { method, path, body, headers, patienceMs }: Call,
): Promise<Answer> {
  const { promise, resolve } = Promise.withResolvers<Answer>()
  const chunks: Buffer[] = []
  const answer: Answer = { status: 0, body: Buffer.alloc(0), headers: {}, ended: false }
  const finish = (ended: boolean) => resolve({ ...answer, body: Buffer.concat(chunks), ended })
  const bytes =
    typeof body === 'string' || Buffer.isBuffer(body) ? body : body === undefined ? '' : JSON.stringify(body)
  const sent = request({
    ...{ socketPath, agent, method, path },
    headers: {
      ...(body !== undefined && { 'Content-Type': 'application/json' }),
      'Content-Length': String(Buffer.byteLength(bytes)),
      ...headers,
    },
  })
  const timer = setTimeout(() => {
    finish(false)
    sent.destroy()
  }, patienceMs ?? defaultMs)
  sent.on('response', response => {
    Object.assign(answer, { status: response.statusCode ?? 0, headers: response.headers })
    response.on('data', (chunk: Buffer) => chunks.push(chunk))
    response.on('end', () => finish(true))
    response.on('error', () => finish(false))
  })
  sent.on('error', () => finish(false))
  sent.end(bytes)
  return promise.finally(() => clearTimeout(timer))
}
