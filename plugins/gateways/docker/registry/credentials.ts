/** Who a client is to a registry: the `X-Registry-Auth` and `X-Registry-Config` headers, and answers to the core's questions. */
import { answerCredentials as answer } from '#api/streaming/answer-credentials.ts'
import { registryDomain } from '#api/types/registry-domain.ts'
import type { Core } from '../core-client/core.ts'
import type { Request } from '../http/routes.ts'

/** Docker's AuthConfig. Empty members mean nothing. */
export interface RegistryAuth {
  username: string
  password: string
  /** OAuth 2 refresh token, in place of a password. */
  identityToken: string
  /** A bearer token to be sent as it is. */
  registryToken: string
  serverAddress: string
}

const nobody: RegistryAuth = { username: '', password: '', identityToken: '', registryToken: '', serverAddress: '' }

/** The header is base64 (usually of the URL-safe kind) of JSON. One that cannot be read is as if it were not there, as in Docker. */
export function authHeader(request: Pick<Request, 'headers'>): RegistryAuth {
  const header = request.headers['x-registry-auth']
  return decodeAuth(Array.isArray(header) ? (header[0] ?? '') : (header ?? ''))
}

export function decodeAuth(text: string): RegistryAuth {
  try {
    return authOf(JSON.parse(Buffer.from(text, 'base64url').toString('utf8')))
  } catch {
    return nobody
  }
}

/** From the JSON of a client: names in any case, as Go reads them; `auth` is base64 of `user:password`. */
export function authOf(value: unknown): RegistryAuth {
  if (typeof value !== 'object' || value === null) return nobody
  const members = new Map(Object.entries(value).map(([key, member]) => [key.toLowerCase(), member]))
  const text = (name: string) => {
    const member: unknown = members.get(name)
    return typeof member === 'string' ? member : ''
  }
  const [user = '', ...password] = Buffer.from(text('auth'), 'base64').toString('utf8').split(':')
  return {
    username: text('username') || user,
    password: text('password') || password.join(':'),
    identityToken: text('identitytoken'),
    registryToken: text('registrytoken'),
    serverAddress: text('serveraddress'),
  }
}

/** `X-Registry-Config`: everything the client knows, by registry ("docker.io"). What cannot be read is left out. */
export function configHeader(request: Pick<Request, 'headers'>): Record<string, RegistryAuth> {
  const header = request.headers['x-registry-config']
  try {
    const value: unknown = JSON.parse(Buffer.from(String(header ?? ''), 'base64url').toString('utf8'))
    if (typeof value !== 'object' || value === null) return {}
    const known = Object.entries(value).map(([address, auth]) => [registryDomain(address), authOf(auth)] as const)
    return Object.fromEntries(known.filter(([, auth]) => !isAnonymous(auth)))
  } catch {
    return {}
  }
}

export function isAnonymous({ username, password, identityToken, registryToken }: RegistryAuth): boolean {
  return [username, password, identityToken, registryToken].every(member => member === '')
}

/** Answers the core when a registry asks who we are. Its id goes into a transfer's resolver; dispose of it after that. */
export function answerCredentials(core: Core, auth: RegistryAuth): Promise<AsyncDisposable & { readonly id: string }> {
  return answer(core.streaming, host => (isFor(auth, host) ? auth : undefined))
}

/** Credentials go to the registry that they were given for, never to a mirror of it; those without an address to any. */
function isFor({ serverAddress }: RegistryAuth, host: string): boolean {
  return serverAddress === '' || registryDomain(serverAddress) === registryDomain(host)
}
