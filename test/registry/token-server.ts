/** A token server for distribution's token authentication: signs what is asked for, for whoever has the password. */
import { createSign, randomUUID, X509Certificate } from 'node:crypto'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { Certificate } from './certificate.ts'

export interface TokenServer extends AsyncDisposable {
  readonly realm: string
  /** Scopes asked for, one entry per request, and whether with credentials. */
  readonly asked: { scopes: string[]; authorized: boolean }[]
  /** Seconds the next tokens last. */
  lifetimeSeconds: number
}

export const service = 'gantry-test'
export const issuer = 'gantry-test-issuer'

/** Anonymous callers may pull; `authorization` may do everything. */
export async function startTokenServer(certificate: Certificate, authorization: string): Promise<TokenServer> {
  const asked: TokenServer['asked'] = []
  const server = createServer((request, response) => {
    const url = new URL(request.url ?? '/', 'http://token')
    const authorized = request.headers.authorization === authorization
    const scopes = url.searchParams.getAll('scope')
    asked.push({ scopes, authorized })
    if (request.headers.authorization !== undefined && !authorized) {
      response.writeHead(401).end()
      return
    }
    const token = sign(certificate, grants(scopes, authorized), tokenServer.lifetimeSeconds)
    response.end(JSON.stringify({ token, expires_in: tokenServer.lifetimeSeconds }))
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('no TCP address')
  const tokenServer: TokenServer = {
    realm: `http://127.0.0.1:${address.port}/token`,
    asked,
    lifetimeSeconds: 300,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
  return tokenServer
}

function grants(scopes: string[], authorized: boolean) {
  return scopes.map(scope => {
    const [type, name, actions = ''] = scope.split(':')
    return { type, name, actions: actions.split(',').filter(action => authorized || action === 'pull') }
  })
}

function sign({ certificate, key }: Certificate, access: object[], seconds: number): string {
  const der = new X509Certificate(readFileSync(certificate)).raw.toString('base64')
  const now = Math.floor(Date.now() / 1000)
  const claims = {
    iss: issuer,
    aud: service,
    sub: '',
    iat: now,
    nbf: now - 5,
    exp: now + seconds,
    jti: randomUUID(),
    access,
  }
  const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url')
  const text = `${part({ typ: 'JWT', alg: 'RS256', x5c: [der] })}.${part(claims)}`
  return `${text}.${createSign('RSA-SHA256').update(text).sign(readFileSync(key)).toString('base64url')}`
}
