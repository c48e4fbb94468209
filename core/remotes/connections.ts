/**
 * Kept connections to registries. One undici agent per way of connecting (TLS material, time-outs), shared by all
 * transfers, so that layers and the next pull reuse connections and handshakes.
 */
import { readFile } from 'node:fs/promises'
import { getCACertificates } from 'node:tls'
import { Agent, type Dispatcher, EnvHttpProxyAgent } from 'undici'
import { invalidArgument, messageOf } from '#api/errors/errors.ts'
import { isLoopback, type RegistryHost, type TlsFiles } from './hosts.ts'

export interface ConnectionSettings {
  connectionsPerHost: number
  connectTimeoutMs: number
  headersTimeoutMs: number
  idleTimeoutMs: number
}

export class Connections implements AsyncDisposable {
  readonly #settings: ConnectionSettings
  readonly #agents = new Map<string, Promise<Dispatcher>>()

  constructor(settings: ConnectionSettings) {
    this.#settings = settings
  }

  /** The agent for a host; `proxy` variables of the environment apply to hosts beyond this machine. */
  agent(host: RegistryHost): Promise<Dispatcher> {
    const connectTimeoutMs = host.connectTimeoutMs ?? this.#settings.connectTimeoutMs
    const proxied = !isLoopback(host.host) && hasProxy()
    const key = JSON.stringify([host.tls, connectTimeoutMs, proxied])
    const known = this.#agents.get(key)
    if (known) return known
    const made = this.#create(host.tls, connectTimeoutMs, proxied)
    // A file that cannot be read now may be there at the next try.
    made.catch(() => this.#agents.delete(key))
    this.#agents.set(key, made)
    return made
  }

  async #create(tls: TlsFiles, connectTimeoutMs: number, proxied: boolean): Promise<Dispatcher> {
    const { connectionsPerHost, headersTimeoutMs, idleTimeoutMs } = this.#settings
    const options = {
      connections: connectionsPerHost,
      pipelining: 1,
      headersTimeout: headersTimeoutMs,
      bodyTimeout: idleTimeoutMs,
      connect: { timeout: connectTimeoutMs, ...(await tlsOptions(tls)) },
    }
    return proxied ? new EnvHttpProxyAgent(options) : new Agent(options)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const agents = await Promise.allSettled(this.#agents.values())
    this.#agents.clear()
    await Promise.all(agents.map(agent => (agent.status === 'fulfilled' ? agent.value.destroy() : undefined)))
  }
}

function hasProxy(): boolean {
  return ['http_proxy', 'https_proxy'].some(name => process.env[name] || process.env[name.toUpperCase()])
}

/** Node trusts only its built-in authorities by default; people expect the system's (/etc/ssl/certs) too. */
async function tlsOptions({ ca, client, skipVerify }: TlsFiles) {
  const authorities = skipVerify ? [] : [...getCACertificates('bundled'), ...getCACertificates('system')]
  const extra = await Promise.all(ca.map(file => readPem(file, 'CA certificate')))
  const [pair] = client
  return {
    rejectUnauthorized: !skipVerify,
    ca: [...new Set([...authorities, ...extra])],
    ...(pair && {
      cert: await readPem(pair[0], 'client certificate'),
      key: await readPem(pair[1] ?? pair[0], 'client key'),
    }),
  }
}

async function readPem(file: string, what: string): Promise<string> {
  try {
    return await readFile(file, 'utf8')
  } catch (cause) {
    throw invalidArgument(`${what} ${file} cannot be read: ${messageOf(cause)}`, { cause })
  }
}
