/**
 * Authorization for one host: basic, or bearer tokens from the token server that the registry names
 * (distribution's docs/spec/auth: token.md, oauth.md). Tokens live in memory, per scope, as long as the transfer.
 */
import type { Dispatcher } from 'undici'
import { invalidArgument, messageOf, unauthenticated, unavailable } from '#api/errors/errors.ts'
import { errorOfAnswer, readLimited } from './answer-errors.ts'
import { type Challenge, parseChallenges } from './challenge.ts'
import { isLoopback } from './hosts.ts'
import type { CredentialSource, Credentials } from './remotes.ts'
import { addressOf, type OutgoingRequest, type RetrySettings, send } from './sender.ts'

export interface AuthorizerOptions {
  /** `registry.example:5000`, as asked of the credential source. */
  host: string
  agent: Dispatcher
  credentials: CredentialSource | undefined
  retry: RetrySettings
  headers: Record<string, string>
}

interface Token {
  header: string
  /** Milliseconds since the epoch. */
  expiresAt: number
}

const maxTokenBytes = 1024 * 1024
/** By the specification a token without `expires_in` lasts 60 s. */
const defaultLifetimeSeconds = 60
/** A token about to expire may be refused on arrival. */
const slackMs = 5_000

export class Authorizer {
  readonly #options: AuthorizerOptions
  readonly #tokens = new Map<string, Promise<Token>>()
  #credentials: Promise<Credentials | undefined> | undefined
  /** Basic and ready-made headers serve every scope. */
  #fixedHeader: string | undefined

  constructor(options: AuthorizerOptions) {
    this.#options = options
  }

  /** The header to send at once, as far as known from earlier answers. */
  async header(scopes: readonly string[]): Promise<string | undefined> {
    if (this.#fixedHeader !== undefined) return this.#fixedHeader
    const token = await this.#tokens.get(keyOf(scopes))?.catch(() => undefined)
    return token !== undefined && token.expiresAt > Date.now() ? token.header : undefined
  }

  /**
   * Answers a 401: another header to try, or undefined when there is nothing (more) to show. `refused` is the header
   * that was sent. UNAUTHENTICATED, PERMISSION_DENIED, UNAVAILABLE from the token server.
   */
  async answer(
    headers: string[],
    scopes: readonly string[],
    refused: string | undefined,
    signal: AbortSignal | undefined,
  ): Promise<string | undefined> {
    const challenges = parseChallenges(headers)
    this.#credentials ??= this.#ask(headers)
    const credentials = await this.#credentials
    const header = await this.#respond(challenges, credentials, scopes, refused, signal)
    return header === refused ? undefined : header
  }

  async #ask(challenges: string[]): Promise<Credentials | undefined> {
    return this.#options.credentials?.(this.#options.host, challenges)
  }

  async #respond(
    challenges: Challenge[],
    credentials: Credentials | undefined,
    scopes: readonly string[],
    refused: string | undefined,
    signal: AbortSignal | undefined,
  ): Promise<string | undefined> {
    if (credentials?.kind === 'header') return this.#fix(credentials.value)
    const bearer = challenges.find(challenge => challenge.scheme === 'bearer')
    if (bearer) return this.#token(bearer, credentials, scopes, refused, signal)
    const basic = challenges.some(challenge => challenge.scheme === 'basic')
    if (basic && credentials?.kind === 'password') return this.#fix(basicHeader(credentials))
    return undefined
  }

  #fix(header: string): string {
    this.#fixedHeader = header
    return header
  }

  /** Callers that were refused at the same time share one request to the token server. */
  async #token(
    challenge: Challenge,
    credentials: Credentials | undefined,
    scopes: readonly string[],
    refused: string | undefined,
    signal: AbortSignal | undefined,
  ): Promise<string> {
    const key = keyOf(scopes)
    const entry = this.#tokens.get(key)
    const known = await entry?.catch(() => undefined)
    if (known !== undefined && known.header !== refused && known.expiresAt > Date.now()) return known.header
    const current = this.#tokens.get(key)
    if (current !== undefined && current !== entry) return (await current).header
    const fetched = this.#fetchToken(challenge, credentials, scopes, signal)
    this.#tokens.set(key, fetched)
    return (await fetched).header
  }

  async #fetchToken(
    { parameters }: Challenge,
    credentials: Credentials | undefined,
    scopes: readonly string[],
    signal: AbortSignal | undefined,
  ): Promise<Token> {
    const realm = this.#realm(parameters.realm)
    const wanted = [...new Set([...scopes, ...(parameters.scope?.split(' ') ?? [])])].filter(scope => scope !== '')
    const request = tokenRequest(realm, parameters.service, wanted, credentials)
    const headers = { 'user-agent': this.#options.headers['user-agent'] ?? '', ...request.headers }
    const answer = await send(this.#options.agent, { ...request, headers, signal }, this.#options.retry)
    const what = `token for ${this.#options.host}`
    if (answer.status !== 200) throw await errorOfAnswer(what, answer)
    return parseToken(what, await readLimited(answer.body, maxTokenBytes, what))
  }

  #realm(text: string | undefined): URL {
    const { host } = this.#options
    const realm = URL.parse(text ?? '')
    if (realm === null || !/^https?:$/.test(realm.protocol))
      throw unauthenticated(`registry ${host} names no usable token server ("${text ?? ''}")`)
    // Plain http is for this machine, or for a registry that is itself configured that way on the same host.
    if (realm.protocol === 'http:' && !isLoopback(realm.host) && realm.host !== host)
      throw unauthenticated(`registry ${host} names ${addressOf(realm)}, an unencrypted token server; refused`)
    return realm
  }
}

function tokenRequest(
  realm: URL,
  service: string | undefined,
  scopes: readonly string[],
  credentials: Credentials | undefined,
): Pick<OutgoingRequest, 'method' | 'url' | 'headers' | 'body'> {
  if (credentials?.kind === 'refresh') {
    const form = new URLSearchParams({
      grant_type: 'refresh_token',
      client_id: 'gantry',
      refresh_token: credentials.token,
      scope: scopes.join(' '),
      ...(service !== undefined && { service }),
    }).toString()
    const headers = { 'content-type': 'application/x-www-form-urlencoded' }
    return { method: 'POST', url: realm, headers, body: () => form }
  }
  const url = new URL(realm)
  if (service !== undefined) url.searchParams.set('service', service)
  for (const scope of scopes) url.searchParams.append('scope', scope)
  if (credentials?.kind !== 'password') return { method: 'GET', url, headers: {} }
  url.searchParams.set('account', credentials.username)
  return { method: 'GET', url, headers: { authorization: basicHeader(credentials) } }
}

function parseToken(what: string, bytes: Buffer): Token {
  let answer: { token?: unknown; access_token?: unknown; expires_in?: unknown }
  try {
    answer = JSON.parse(bytes.toString())
  } catch (cause) {
    throw unavailable(`${what}: the token server's answer is not JSON (${messageOf(cause)})`, { cause })
  }
  const token = answer.token ?? answer.access_token
  if (typeof token !== 'string' || token === '') throw unauthenticated(`${what}: the token server gave none`)
  if (/[^\x21-\x7e]/.test(token)) throw invalidArgument(`${what}: the token has characters a header cannot carry`)
  const seconds = typeof answer.expires_in === 'number' ? answer.expires_in : defaultLifetimeSeconds
  return { header: `Bearer ${token}`, expiresAt: Date.now() + seconds * 1000 - slackMs }
}

function basicHeader({ username, password }: { username: string; password: string }): string {
  return `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`
}

function keyOf(scopes: readonly string[]): string {
  return [...scopes].sort().join(' ')
}
