/**
 * Calls of one plugin: `POST /Subsystem.Verb` with a JSON body, answered by a JSON body whose `Err` says why not. Plugins come
 * and go: a connection that cannot be made is tried again for a while, one that was made never is.
 */
import { readFile } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { Agent, request } from 'undici'
import { deadlineExceeded, messageOf, unavailable, unknown } from '#api/errors/errors.ts'
import type { PluginAddress, PluginTls } from './discover.ts'

const mediaType = 'application/vnd.docker.plugins.v1.2+json'
const maxAnswerBytes = 16 * 1024 * 1024
const defaultTimeoutMs = 60_000
/** How long a plugin may take to come (back) up. */
const connectMs = 5000
const firstPauseMs = 50

export interface CallOptions {
  timeoutMs?: number
  /** Until when a connection is tried. Default: 5 s from now. */
  connectMs?: number
}

export class PluginClient implements AsyncDisposable {
  readonly name: string
  readonly #agent: Agent
  readonly #url: string
  readonly #base: string
  #activated: Promise<readonly string[]> | undefined

  private constructor(address: PluginAddress, agent: Agent) {
    this.name = address.name
    this.#agent = agent
    this.#url = address.url
    this.#base = baseOf(address)
  }

  /** Nothing is asked of it yet. ENOENT of a TLS file as of node:fs. */
  static async open(address: PluginAddress): Promise<PluginClient> {
    const socketPath = /^unix:\/\/(.+)$/.exec(address.url)?.[1]
    const connect = socketPath === undefined ? await tlsOptions(address.tls) : { socketPath }
    // A plugin that was started anew has another connection: none is kept for long.
    return new PluginClient(address, new Agent({ connect, keepAliveTimeout: 1000, connections: 16 }))
  }

  /** The subsystems that it implements, such as `VolumeDriver`. Asked once; after a failure again. */
  activate(options: CallOptions = {}): Promise<readonly string[]> {
    this.#activated ??= this.#handshake(options).catch(error => {
      this.#activated = undefined
      throw error
    })
    return this.#activated
  }

  async #handshake(options: CallOptions): Promise<readonly string[]> {
    const { Implements } = (await this.call('Plugin.Activate', undefined, options)) as { Implements?: unknown }
    return Array.isArray(Implements) ? Implements.filter(name => typeof name === 'string') : []
  }

  /**
   * The answer's object. UNAVAILABLE: no connection; DEADLINE_EXCEEDED; UNKNOWN with the plugin's own words, after the name of
   * the call, for whatever it refuses.
   */
  async call(verb: string, body: object | undefined, options: CallOptions = {}): Promise<Record<string, unknown>> {
    const { timeoutMs = defaultTimeoutMs } = options
    const text = body === undefined ? '' : JSON.stringify(body)
    const { status, answer } = await this.#patiently(verb, options, () => this.#post(verb, text, timeoutMs))
    const value = parseObject(answer)
    const refusal = typeof value?.Err === 'string' ? value.Err : ''
    if (refusal !== '') throw unknown(`${verb}: ${refusal}`, { bare: true })
    if (status !== 200) throw unknown(`${verb}: ${answer.trim() || `status ${status}`}`, { bare: true })
    if (value === undefined) throw unknown(`${verb}: plugin "${this.name}" answered no JSON object`, { bare: true })
    return value
  }

  async #post(verb: string, body: string, timeoutMs: number): Promise<{ status: number; answer: string }> {
    const response = await request(`${this.#base}/${verb}`, {
      method: 'POST',
      headers: { accept: mediaType, 'content-type': mediaType },
      body,
      dispatcher: this.#agent,
      signal: AbortSignal.timeout(timeoutMs),
      headersTimeout: timeoutMs,
      bodyTimeout: timeoutMs,
    })
    let answer = ''
    for await (const chunk of response.body.setEncoding('utf8')) {
      answer += chunk
      if (answer.length > maxAnswerBytes)
        throw unknown(`${verb}: plugin "${this.name}" answered more than ${maxAnswerBytes} bytes`, { bare: true })
    }
    return { status: response.statusCode, answer }
  }

  async #patiently<T>(verb: string, options: CallOptions, attempt: () => Promise<T>): Promise<T> {
    const deadline = Date.now() + (options.connectMs ?? connectMs)
    for (let pauseMs = firstPauseMs; ; pauseMs *= 2) {
      try {
        return await attempt()
      } catch (error) {
        if (!wasNotConnected(error)) throw this.#described(verb, error)
        if (Date.now() + pauseMs > deadline)
          throw unavailable(`${verb}: plugin "${this.name}" cannot be reached at ${this.#url}: ${messageOf(error)}`, {
            cause: error,
            bare: true,
          })
        await sleep(pauseMs, undefined, { ref: false })
      }
    }
  }

  #described(verb: string, error: unknown): unknown {
    if (error instanceof Error && error.name === 'TimeoutError')
      return deadlineExceeded(`${verb}: plugin "${this.name}" did not answer in time`, { cause: error, bare: true })
    if (codeOf(error) === undefined) return error
    return unavailable(`${verb}: plugin "${this.name}": ${messageOf(error)}`, { cause: error, bare: true })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#agent.destroy()
  }
}

function baseOf({ url, tls }: PluginAddress): string {
  if (url.startsWith('unix:')) return 'http://plugin'
  return url.replace(/^tcp:/, tls ? 'https:' : 'http:').replace(/\/+$/, '')
}

async function tlsOptions(tls: PluginTls | undefined): Promise<object> {
  if (tls === undefined) return {}
  const [ca, cert, key] = await Promise.all([tls.ca, tls.certificate, tls.key].map(path => readIfNamed(path)))
  return { ...(ca && { ca }), ...(cert && { cert }), ...(key && { key }), rejectUnauthorized: !tls.insecure }
}

const readIfNamed = async (path: string) => (path === '' ? undefined : readFile(path))

function codeOf(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined
}

/** The request was never sent. */
function wasNotConnected(error: unknown): boolean {
  return ['ECONNREFUSED', 'ENOENT', 'UND_ERR_CONNECT_TIMEOUT', 'ENOTFOUND', 'EHOSTUNREACH'].includes(
    codeOf(error) ?? '',
  )
}

function parseObject(text: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : undefined
  } catch {
    return undefined
  }
}
