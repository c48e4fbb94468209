/**
 * One HTTP request, whatever it takes: tried again after connection failures and passing statuses, redirects
 * followed. Knows nothing of registries or authentication.
 */
import type { Readable } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Dispatcher } from 'undici'
import { canceled, type GantryError, isGantryError, messageOf, unavailable } from '#api/errors/errors.ts'
import { isLoopback } from './hosts.ts'

export interface RetrySettings {
  attempts: number
  baseDelayMs: number
  maxDelayMs: number
}

export interface OutgoingRequest {
  method: 'GET' | 'HEAD' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'
  url: URL
  headers: Record<string, string>
  /** Made anew for each try. */
  body?: (() => Readable | Buffer | string) | undefined
  signal?: AbortSignal | undefined
  /** Instead of the settings' number; 1 for requests whose failure the caller handles. */
  attempts?: number | undefined
}

export interface Answer {
  status: number
  /** Names in lower case; the first of several values. */
  header(name: string): string | undefined
  headers(name: string): string[]
  /** To be read to its end or dumped. */
  body: Dispatcher.ResponseData['body']
  /** Where the answer came from, after redirects. */
  url: URL
}

const passingStatuses = new Set([408, 429, 500, 502, 503, 504])
const redirectStatuses = new Set([301, 302, 303, 307, 308])
const maxRedirects = 10
/** What may follow a request to another host: nothing that is meant for the first one. */
const harmlessHeaders = new Set(['accept', 'range', 'user-agent', 'accept-encoding'])

/**
 * Resolves with the last answer, whatever its status. UNAVAILABLE when no try got one; CANCELED when the signal
 * fired.
 */
export async function send(agent: Dispatcher, request: OutgoingRequest, retry: RetrySettings): Promise<Answer> {
  const attempts = request.attempts ?? retry.attempts
  for (let attempt = 1; ; attempt++) {
    throwIfCanceled(request)
    const outcome = await followRedirects(agent, request).catch((error: unknown) => failureOf(request, error))
    const last = attempt >= attempts
    if (isGantryError(outcome)) {
      if (last || outcome.code !== 'UNAVAILABLE' || !isWorthRetrying(outcome)) throw outcome
    } else {
      if (last || !passingStatuses.has(outcome.status)) return outcome
      await outcome.body.dump()
    }
    const wished = isGantryError(outcome) ? undefined : retryAfterMs(outcome.header('retry-after'))
    await pause(delayMs(attempt, wished, retry), request)
  }
}

/** CANCELED when the signal has fired. */
export function throwIfCanceled({ signal, method, url }: Pick<OutgoingRequest, 'signal' | 'method' | 'url'>): void {
  if (!signal?.aborted) return
  if (isGantryError(signal.reason)) throw signal.reason
  throw canceled(`${method} ${addressOf(url)}`, { cause: signal.reason })
}

/** A URL for messages: without user, password and query (signed addresses carry secrets there). */
export function addressOf(url: URL): string {
  return `${url.protocol}//${url.host}${url.pathname}`
}

async function followRedirects(agent: Dispatcher, request: OutgoingRequest): Promise<Answer> {
  let { url, headers } = request
  for (let hops = 0; ; hops++) {
    const answer = await exchange(agent, { ...request, url, headers })
    const location = answer.header('location')
    const followed = request.method === 'GET' || request.method === 'HEAD'
    if (!followed || !redirectStatuses.has(answer.status) || location === undefined) return answer
    await answer.body.dump()
    if (hops >= maxRedirects) throw unavailable(`${addressOf(request.url)}: more than ${maxRedirects} redirects`)
    const next = redirectTarget(url, location)
    if (next.origin !== url.origin) headers = onlyHarmless(headers)
    url = next
  }
}

function redirectTarget(from: URL, location: string): URL {
  const next = URL.parse(location, from.href)
  if (next === null || !/^https?:$/.test(next.protocol))
    throw unavailable(`${addressOf(from)} redirects to an address that is no http URL`)
  if (from.protocol === 'https:' && next.protocol === 'http:' && !isLoopback(next.host))
    throw unavailable(`${addressOf(from)} redirects to unencrypted ${addressOf(next)}; refused`)
  return next
}

function onlyHarmless(headers: Record<string, string>): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).filter(([name]) => harmlessHeaders.has(name.toLowerCase())))
}

async function exchange(agent: Dispatcher, request: OutgoingRequest): Promise<Answer> {
  const { url, method, headers, body, signal } = request
  const response = await agent.request({
    origin: url.origin,
    path: `${url.pathname}${url.search}`,
    method,
    headers,
    ...(body && { body: body() }),
    ...(signal && { signal }),
  })
  const all = (name: string) => [response.headers[name] ?? []].flat()
  return { status: response.statusCode, header: name => all(name)[0], headers: all, body: response.body, url }
}

function failureOf(request: OutgoingRequest, error: unknown): GantryError {
  if (isGantryError(error)) return error
  throwIfCanceled(request)
  return unavailable(`${request.method} ${addressOf(request.url)}: ${reasonOf(error)}`, { cause: error })
}

/** undici wraps several addresses' failures in an AggregateError without a message. */
function reasonOf(error: unknown): string {
  if (error instanceof AggregateError) return error.errors.map(messageOf).join('; ')
  return messageOf(error)
}

const pointlessCodes = new Set(['ENOTFOUND', 'EPROTO', 'ERR_INVALID_ARG_TYPE', 'ERR_INVALID_ARG_VALUE'])

/** A name that does not exist, or a certificate nobody trusts, is the same a second later. */
function isWorthRetrying(error: GantryError): boolean {
  const code = codeOf(error.cause)
  return !(pointlessCodes.has(code) || /^(ERR_TLS|ERR_SSL|CERT_|UNABLE_TO|DEPTH_ZERO|SELF_SIGNED)/.test(code))
}

/** Symbolic code of a network error, or empty. */
export function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : ''
}

/** Seconds or a date (RFC 9110, 10.2.3). */
function retryAfterMs(value: string | undefined): number | undefined {
  if (value === undefined) return undefined
  const ms = /^\d+$/.test(value) ? Number(value) * 1000 : Date.parse(value) - Date.now()
  return Number.isFinite(ms) ? Math.max(0, ms) : undefined
}

function delayMs(attempt: number, wished: number | undefined, { baseDelayMs, maxDelayMs }: RetrySettings): number {
  if (wished !== undefined) return Math.min(wished, maxDelayMs)
  const grown = Math.min(baseDelayMs * 2 ** (attempt - 1), maxDelayMs)
  return grown / 2 + (Math.random() * grown) / 2
}

async function pause(ms: number, request: OutgoingRequest): Promise<void> {
  await sleep(ms, undefined, { ...(request.signal && { signal: request.signal }) }).catch(() =>
    throwIfCanceled(request),
  )
}
