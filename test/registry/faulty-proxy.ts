/**
 * A proxy in front of a registry that spoils chosen exchanges: refuses, cuts the connection after so many bytes of the
 * body, changes bytes, waits. What it does not spoil it passes on unchanged, so the rest is the real server.
 */
import { once } from 'node:events'
import { createServer, type IncomingMessage, request, type Server, type ServerResponse } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'

export type Fault =
  /** Answers so instead of the registry. */
  | { kind: 'status'; status: number; headers?: Record<string, string>; body?: string }
  /** Passes `bytes` of the body on, then breaks the connection. -1: no answer at all. */
  | { kind: 'cut'; bytes: number }
  /** Passes `bytes` of the body on, then nothing until the client goes. */
  | { kind: 'stall'; bytes: number }
  /** Flips the byte at `at` of the body. */
  | { kind: 'flip'; at: number }
  /** Answers 200 with the whole body though a range was asked for. */
  | { kind: 'ignore-range' }
  /** Removes a header of the registry's answer. */
  | { kind: 'drop-header'; name: string }
  /** Waits before passing on. */
  | { kind: 'delay'; ms: number }

export interface Rule {
  method?: string
  /** Matched against path and query. */
  path: RegExp
  fault: Fault
  /** How often; default for ever. */
  times?: number
}

export interface Exchange {
  method: string
  url: string
  range: string | undefined
  authorization: string | undefined
  status: number
}

export interface FaultyProxy extends AsyncDisposable {
  readonly host: string
  /** Replaced at will; the first rule that matches and has times left is used. */
  rules: Rule[]
  /** What has been asked since the last `seen.length = 0`. */
  readonly seen: Exchange[]
}

/** In front of `upstream` (`127.0.0.1:PORT`). */
export async function startFaultyProxy(upstream: string): Promise<FaultyProxy> {
  const proxy: FaultyProxy = {
    host: '',
    rules: [],
    seen: [],
    [Symbol.asyncDispose]: () => stop(server),
  }
  const server = createServer((incoming, outgoing) => {
    handle(proxy, upstream, incoming, outgoing).catch(() => outgoing.destroy())
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('no TCP address')
  return Object.assign(proxy, { host: `127.0.0.1:${address.port}` })
}

async function handle(
  proxy: FaultyProxy,
  upstream: string,
  incoming: IncomingMessage,
  outgoing: ServerResponse,
): Promise<void> {
  const { method = 'GET', url = '/' } = incoming
  const { range, authorization } = incoming.headers
  const exchange: Exchange = { method, url, range, authorization, status: 0 }
  proxy.seen.push(exchange)
  const fault = take(proxy.rules, method, url)
  if (fault?.kind === 'delay') await sleep(fault.ms)
  if (fault?.kind === 'cut' && fault.bytes < 0) {
    outgoing.destroy()
    return
  }
  if (fault?.kind === 'status') {
    exchange.status = fault.status
    incoming.resume()
    outgoing.writeHead(fault.status, fault.headers).end(fault.body)
    return
  }
  const answer = await ask(upstream, incoming, fault)
  exchange.status = answer.statusCode ?? 0
  await relay(answer, outgoing, fault)
}

function take(rules: Rule[], method: string, url: string): Fault | undefined {
  const rule = rules.find(
    candidate => (candidate.times ?? 1) > 0 && (candidate.method ?? method) === method && candidate.path.test(url),
  )
  if (rule?.times !== undefined) rule.times--
  return rule?.fault
}

async function ask(upstream: string, incoming: IncomingMessage, fault: Fault | undefined): Promise<IncomingMessage> {
  const [host = '', port] = upstream.split(':')
  const headers = { ...incoming.headers }
  if (fault?.kind === 'ignore-range') headers.range = undefined
  // `Host` stays the proxy's, so that the registry's Location headers lead back here.
  const outgoing = request({
    host,
    port,
    method: incoming.method,
    path: incoming.url,
    headers: withoutUndefined(headers),
  })
  const answered = once(outgoing, 'response')
  incoming.pipe(outgoing)
  incoming.on('aborted', () => outgoing.destroy())
  const [answer] = (await answered) as [IncomingMessage]
  return answer
}

function withoutUndefined<T extends object>(object: T): T {
  return Object.fromEntries(Object.entries(object).filter(([, value]) => value !== undefined)) as T
}

async function relay(answer: IncomingMessage, outgoing: ServerResponse, fault: Fault | undefined): Promise<void> {
  const headers = { ...answer.headers }
  if (fault?.kind === 'drop-header') delete headers[fault.name]
  outgoing.writeHead(answer.statusCode ?? 502, headers)
  let passed = 0
  for await (const chunk of answer as AsyncIterable<Buffer>) {
    if (fault?.kind === 'flip' && fault.at >= passed && fault.at < passed + chunk.length) {
      const at = fault.at - passed
      chunk[at] = (chunk[at] ?? 0) ^ 0xff
    }
    const ends = fault?.kind === 'cut' || fault?.kind === 'stall'
    const piece = ends ? chunk.subarray(0, Math.max(0, fault.bytes - passed)) : chunk
    passed += chunk.length
    if (piece.length > 0 && !outgoing.write(piece)) await drainedOrClosed(outgoing)
    if (fault?.kind === 'stall' && passed >= fault.bytes) return void (await once(outgoing, 'close'))
    if (fault?.kind === 'cut' && passed >= fault.bytes) {
      // Let what was written leave before the connection goes.
      await sleep(5)
      outgoing.destroy()
      return
    }
  }
  outgoing.end()
}

function drainedOrClosed(outgoing: ServerResponse): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>()
  outgoing.once('drain', resolve).once('close', resolve)
  return promise.finally(() => outgoing.off('drain', resolve).off('close', resolve))
}

async function stop(server: Server): Promise<void> {
  server.closeAllConnections()
  server.close()
  await once(server, 'close')
}
