/** One host, for one transfer: addresses, headers, scheme and authorization around {@link send}. */
import type { Dispatcher } from 'undici'
import { type GantryError, isGantryError } from '#api/errors/errors.ts'
import type { Reference } from '#api/types/reference.ts'
import { errorOfAnswer } from './answer-errors.ts'
import { Authorizer } from './authorizer.ts'
import type { Connections } from './connections.ts'
import type { RegistryHost } from './hosts.ts'
import type { CredentialSource } from './remotes.ts'
import { type Answer, codeOf, type OutgoingRequest, type RetrySettings, send } from './sender.ts'

export interface SessionOptions {
  host: RegistryHost
  reference: Reference
  connections: Connections
  credentials: CredentialSource | undefined
  retry: RetrySettings
  headers: Readonly<Record<string, string>>
  /** Schemes found out for `either` hosts, kept over transfers. */
  schemes: Map<string, 'http' | 'https'>
}

export interface SessionRequest extends Pick<OutgoingRequest, 'method' | 'body' | 'signal' | 'attempts'> {
  /** Below the repository, as `manifests/latest`; or a whole URL that the host gave us (`Location`). */
  target: string | URL
  query?: Record<string, string>
  headers?: Record<string, string>
  /** What the token must allow. Default pull. */
  actions?: 'pull' | 'pull,push'
  /** Further scopes, as for a mount from another repository. */
  scopes?: string[]
}

export class HostSession {
  readonly host: RegistryHost
  readonly #options: SessionOptions
  #prepared: Promise<{ agent: Dispatcher; authorizer: Authorizer }> | undefined

  constructor(options: SessionOptions) {
    this.host = options.host
    this.#options = options
  }

  /** The answer when its status is among `expected`; else the error it means. `what` starts the message. */
  async request(what: string, expected: readonly number[], request: SessionRequest): Promise<Answer> {
    const answer = await this.#authorized(request)
    if (expected.includes(answer.status)) return answer
    throw await errorOfAnswer(what, answer)
  }

  /** At most two rounds of authorization: a token may have expired on the way. */
  async #authorized(request: SessionRequest): Promise<Answer> {
    const { authorizer } = await this.#prepare()
    const scopes = [this.#scope(request.actions ?? 'pull'), ...(request.scopes ?? [])]
    let authorization = await authorizer.header(scopes)
    for (let round = 0; ; round++) {
      const answer = await this.#sendOnce(request, authorization)
      if (answer.status !== 401 || round === 2) return answer
      const challenges = answer.headers('www-authenticate')
      const next = await authorizer.answer(challenges, scopes, authorization, request.signal)
      if (next === undefined) return answer
      await answer.body.dump()
      authorization = next
    }
  }

  async #sendOnce(request: SessionRequest, authorization: string | undefined): Promise<Answer> {
    const { agent } = await this.#prepare()
    const scheme = this.#scheme()
    const attempt = (over: 'http' | 'https', attempts?: number) =>
      send(
        agent,
        { ...this.#outgoing(request, over, authorization), attempts: attempts ?? request.attempts },
        this.#options.retry,
      )
    if (scheme !== 'either') return attempt(scheme)
    try {
      const answer = await attempt('https', 1)
      this.#options.schemes.set(this.host.host, 'https')
      return answer
    } catch (error) {
      if (!isGantryError(error) || !spokeNoTls(error)) throw error
      const answer = await attempt('http')
      this.#options.schemes.set(this.host.host, 'http')
      return answer
    }
  }

  #outgoing(request: SessionRequest, scheme: 'http' | 'https', authorization: string | undefined): OutgoingRequest {
    const url = this.#url(request, scheme)
    const ours = url.host === this.host.host
    const headers: Record<string, string> = {
      'user-agent': 'gantry/0.1',
      ...(ours && { ...this.#options.headers, ...this.host.headers }),
      ...request.headers,
      ...(ours && authorization !== undefined && { authorization }),
    }
    return { method: request.method, url, headers, body: request.body, signal: request.signal }
  }

  #url({ target, query }: SessionRequest, scheme: 'http' | 'https'): URL {
    const { repository, domain } = this.#options.reference
    const url =
      target instanceof URL
        ? new URL(target)
        : new URL(`${scheme}://${this.host.host}${this.host.path}/${repository}/${target}`)
    for (const [name, value] of Object.entries(query ?? {})) url.searchParams.set(name, value)
    // A mirror of several registries needs to know which one is meant (containerd's convention).
    const mirror = this.host.host !== domain && !(domain === 'docker.io' && this.host.host === 'registry-1.docker.io')
    if (mirror && !(target instanceof URL)) url.searchParams.set('ns', domain)
    return url
  }

  #scope(actions: string): string {
    return `repository:${this.#options.reference.repository}:${actions}`
  }

  #scheme(): RegistryHost['scheme'] {
    return this.host.scheme === 'either' ? (this.#options.schemes.get(this.host.host) ?? 'either') : this.host.scheme
  }

  #prepare() {
    this.#prepared ??= this.#options.connections.agent(this.host).then(agent => {
      const { credentials, retry, reference } = this.#options
      // docker.io's credentials are stored under the name people use.
      const host =
        reference.domain === 'docker.io' && this.host.host === 'registry-1.docker.io' ? 'docker.io' : this.host.host
      const headers = { 'user-agent': 'gantry/0.1' }
      return { agent, authorizer: new Authorizer({ host, agent, credentials, retry, headers }) }
    })
    return this.#prepared
  }
}

/** The other side answered in plain text, or hung up on our hello. */
function spokeNoTls(error: GantryError): boolean {
  const code = codeOf(error.cause)
  return code === 'EPROTO' || code === 'ECONNRESET' || code === 'UND_ERR_SOCKET' || code.startsWith('ERR_SSL_')
}
