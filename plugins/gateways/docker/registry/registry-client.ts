/**
 * The few questions that the gateway itself asks registries: who may log in, which tags there are, what a name points
 * at. Images are moved by the core.
 */
import { Agent, request } from 'undici'
import { messageOf } from '#api/errors/errors.ts'
import { HttpError, serverError } from '../http/http-error.ts'
import { type Challenge, parseChallenge } from './challenge.ts'
import { isAnonymous, type RegistryAuth } from './credentials.ts'
import type { RegistryHosts } from './host-files.ts'

const maxAnswerBytes = 8 * 1024 * 1024
const timeoutMs = 30_000

export interface Answer {
  status: number
  header(name: string): string
  body: Buffer
}

interface Wish {
  accept?: string
  /** Of a token, such as `repository:team/app:pull`. */
  scope?: string
  signal?: AbortSignal | undefined
}

export class RegistryClient {
  readonly #hosts: RegistryHosts
  readonly #domain: string
  readonly #auth: RegistryAuth
  /** The first address that answered. */
  #base: string | undefined
  #authorization: string | undefined
  /** What a token server gave for logging in again without the password. */
  identityToken = ''

  constructor(hosts: RegistryHosts, domain: string, auth: RegistryAuth) {
    this.#hosts = hosts
    this.#domain = domain
    this.#auth = auth
  }

  /** 401 in Docker's words when the registry does not take the credentials. */
  async login(signal?: AbortSignal): Promise<void> {
    const answer = await this.get('/v2/', { signal })
    if (answer.status === 200 || answer.status === 404) return
    throw new HttpError(
      answer.status === 401 || answer.status === 403 ? 401 : 500,
      `login attempt to ${this.#base}/v2/ failed with status: ${answer.status} ${reasons[answer.status] ?? ''}`.trim(),
    )
  }

  /** 404 for an unknown repository. */
  async tags(repository: string, signal?: AbortSignal): Promise<string[]> {
    const answer = await this.get(`/v2/${repository}/tags/list`, { signal, scope: `repository:${repository}:pull` })
    if (answer.status !== 200) throw refused(`repository ${repository}`, answer)
    const { tags } = parseJson(answer.body) as { tags?: string[] | null }
    return (tags ?? []).filter(tag => typeof tag === 'string')
  }

  /** Asks, and once more with what the registry wants to see. 500 when nobody answers. */
  async get(path: string, wish: Wish = {}): Promise<Answer> {
    const first = await this.#send(path, wish)
    if (first.status !== 401) return first
    const challenge = parseChallenge(first.header('www-authenticate'))
    const header = challenge && (await this.#answer(challenge, wish))
    if (header === undefined) return first
    this.#authorization = header
    return this.#send(path, wish)
  }

  async #send(path: string, wish: Wish): Promise<Answer> {
    const bases = this.#base === undefined ? this.#hosts.baseUrls(this.#domain) : [this.#base]
    let failure: unknown
    for (const base of bases) {
      try {
        const answer = await this.#ask(new URL(base.replace(/\/$/, '') + path), wish)
        this.#base = base
        return answer
      } catch (error) {
        failure = error
      }
    }
    throw serverError(`Get "${bases[0]}${path}": ${messageOf(failure)}`, { cause: failure })
  }

  #ask(url: URL, { accept, signal }: Wish): Promise<Answer> {
    const authorization = this.#authorization
    return fetchLimited(url, {
      headers: { ...(accept && { accept }), ...(authorization && { authorization }) },
      isInsecure: this.#hosts.isInsecure(this.#domain),
      signal,
    })
  }

  async #answer({ scheme, parameters }: Challenge, { scope, signal }: Wish): Promise<string | undefined> {
    const { username, password, registryToken } = this.#auth
    if (registryToken !== '') return `Bearer ${registryToken}`
    if (scheme === 'basic') return username === '' ? undefined : basic(username, password)
    const token = await this.#token(parameters, scope ?? parameters.scope ?? '', signal)
    return token === undefined ? undefined : `Bearer ${token}`
  }

  /** Distribution's docs/spec/auth/token.md and oauth.md. */
  async #token(
    { realm = '', service = '' }: Readonly<Record<string, string>>,
    scope: string,
    signal: AbortSignal | undefined,
  ): Promise<string | undefined> {
    const url = URL.parse(realm)
    if (url === null || !/^https?:$/.test(url.protocol))
      throw serverError(`the registry names no token server: "${realm}"`)
    if (url.protocol === 'http:' && !this.#hosts.isInsecure(url.host) && !this.#base?.startsWith('http:'))
      throw serverError(`the token server ${url.origin} is not encrypted; refused`)
    const { username, password, identityToken } = this.#auth
    const isInsecure = this.#hosts.isInsecure(url.host)
    const answer =
      identityToken === ''
        ? await this.#tokenByPassword(url, { service, scope, username, password }, isInsecure, signal)
        : await this.#tokenByRefresh(url, { service, scope, identityToken }, isInsecure, signal)
    if (answer.status === 401 || answer.status === 403) return undefined
    if (answer.status !== 200) throw refused(`token of ${url.host}`, answer)
    const { token, access_token, refresh_token } = parseJson(answer.body) as Record<string, unknown>
    if (typeof refresh_token === 'string') this.identityToken = refresh_token
    const given = token ?? access_token
    return typeof given === 'string' ? given : undefined
  }

  #tokenByPassword(
    url: URL,
    { service, scope, username, password }: Record<'service' | 'scope' | 'username' | 'password', string>,
    isInsecure: boolean,
    signal: AbortSignal | undefined,
  ): Promise<Answer> {
    if (service !== '') url.searchParams.set('service', service)
    if (scope !== '') url.searchParams.set('scope', scope)
    if (username !== '') {
      url.searchParams.set('account', username)
      url.searchParams.set('client_id', 'docker')
      url.searchParams.set('offline_token', 'true')
    }
    const headers: Record<string, string> = isAnonymous(this.#auth) ? {} : { authorization: basic(username, password) }
    return fetchLimited(url, { headers, isInsecure, signal })
  }

  #tokenByRefresh(
    url: URL,
    { service, scope, identityToken }: Record<'service' | 'scope' | 'identityToken', string>,
    isInsecure: boolean,
    signal: AbortSignal | undefined,
  ): Promise<Answer> {
    const form = { grant_type: 'refresh_token', client_id: 'docker', refresh_token: identityToken, service, scope }
    const headers = { 'content-type': 'application/x-www-form-urlencoded' }
    return fetchLimited(url, {
      method: 'POST',
      headers,
      body: new URLSearchParams(form).toString(),
      isInsecure,
      signal,
    })
  }
}

interface Outgoing {
  method?: 'GET' | 'POST'
  headers: Record<string, string>
  body?: string
  isInsecure: boolean
  signal: AbortSignal | undefined
}

/** No redirects: credentials must not travel. */
async function fetchLimited(url: URL, { isInsecure, signal, ...outgoing }: Outgoing): Promise<Answer> {
  const agent = new Agent({ connect: { rejectUnauthorized: !isInsecure, timeout: timeoutMs } })
  try {
    const timeout = AbortSignal.timeout(timeoutMs)
    const answer = await request(url, {
      ...outgoing,
      dispatcher: agent,
      signal: signal ? AbortSignal.any([signal, timeout]) : timeout,
    })
    const chunks: Buffer[] = []
    let size = 0
    for await (const chunk of answer.body as AsyncIterable<Buffer>) {
      size += chunk.length
      if (size > maxAnswerBytes) throw new Error(`the answer is longer than ${maxAnswerBytes} bytes`)
      chunks.push(chunk)
    }
    const { headers, statusCode } = answer
    const header = (name: string) => [headers[name] ?? ''].flat().join(', ')
    return { status: statusCode, header, body: Buffer.concat(chunks) }
  } finally {
    await agent.destroy()
  }
}

export function parseJson(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString('utf8'))
  } catch (cause) {
    throw serverError('the registry answered something that is not JSON', { cause })
  }
}

/** With what the registry said, on one line. */
export function refused(what: string, { status, body }: Answer): HttpError {
  let said = ''
  try {
    const { errors } = JSON.parse(body.toString('utf8')) as { errors?: { message?: string }[] }
    said = (errors ?? []).map(({ message = '' }) => message).join('; ')
  } catch {
    // A page for people.
  }
  const clean = said.replace(/\p{Cc}+/gu, ' ').slice(0, 300)
  const reason = clean === '' ? (reasons[status] ?? `status ${status}`) : clean
  return new HttpError(status === 404 ? 404 : status === 401 || status === 403 ? 401 : 500, `${what}: ${reason}`)
}

const reasons: Record<number, string> = {
  401: 'Unauthorized',
  403: 'Forbidden',
  404: 'not found',
  429: 'Too Many Requests',
}

function basic(username: string, password: string): string {
  return `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`
}
