/**
 * The gateway's registry settings in the form that the core's transfers take: a folder of `<host>/hosts.toml`
 * (containerd docs/hosts.md). Registries without a setting are left to the core's own configuration.
 */
import { mkdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { stringify } from 'smol-toml'

export interface RegistrySettings {
  /** Registry → base URLs that are asked first, in order, for pulls alone. */
  readonly mirrors: Readonly<Record<string, readonly string[]>>
  /** Registry → base URL of where it really is: for networks that cannot reach it. */
  readonly upstreams: Readonly<Record<string, string>>
  /** Hosts whose certificate is not looked at, and that may do without TLS. */
  readonly insecure: readonly string[]
}

export class RegistryHosts {
  readonly #folder: string
  readonly #settings: RegistrySettings
  readonly #domains: ReadonlySet<string>

  private constructor(folder: string, settings: RegistrySettings) {
    this.#folder = folder
    this.#settings = settings
    this.#domains = new Set([
      ...Object.keys(settings.mirrors),
      ...Object.keys(settings.upstreams),
      ...settings.insecure.filter(host => !host.includes('/')),
    ])
  }

  /** Written anew at every start: `state` need not outlive a reboot. */
  static async write(state: string, settings: RegistrySettings): Promise<RegistryHosts> {
    const hosts = new RegistryHosts(join(state, 'registry-hosts'), settings)
    await rm(hosts.#folder, { recursive: true, force: true })
    for (const domain of hosts.#domains) {
      const folder = join(hosts.#folder, folderName(domain))
      await mkdir(folder, { recursive: true, mode: 0o700 })
      await writeFile(join(folder, 'hosts.toml'), hosts.#fileFor(domain), { mode: 0o600 })
    }
    return hosts
  }

  /** {@link folderFor} of each domain that has one, for those who pull by themselves. */
  folders(): Record<string, string> {
    return Object.fromEntries([...this.#domains].map(domain => [domain, this.#folder]))
  }

  /** The folder for a registry's transfers; empty: the core's own. */
  folderFor(domain: string): string {
    return this.#domains.has(domain) ? this.#folder : ''
  }

  /** Where to speak to a registry ourselves (login, search), the likeliest first. */
  baseUrls(domain: string): string[] {
    const upstream = this.#settings.upstreams[domain]
    if (upstream !== undefined) return [upstream]
    const host = domain === 'docker.io' ? 'registry-1.docker.io' : domain
    const plainToo = this.isInsecure(domain)
    return [`https://${host}`, ...(plainToo ? [`http://${host}`] : [])]
  }

  /** Loopback is insecure by nature, as Docker has it. */
  isInsecure(domain: string): boolean {
    const name = domain.replace(/:\d+$/, '')
    return (
      name === 'localhost' ||
      name === '[::1]' ||
      /^127(\.\d+){3}$/.test(name) ||
      this.#settings.insecure.includes(domain)
    )
  }

  #fileFor(domain: string): string {
    const { mirrors, upstreams, insecure } = this.#settings
    const isInsecure = insecure.includes(domain)
    const host: Record<string, object> = {}
    for (const mirror of mirrors[domain] ?? []) host[mirror] = { capabilities: ['pull', 'resolve'] }
    if (isInsecure) host[`https://${domain}`] = { skip_verify: true }
    const server = upstreams[domain] ?? (isInsecure ? `http://${domain}` : undefined)
    return stringify({ ...(server !== undefined && { server }), host })
  }
}

/** containerd's way to write a port into a folder's name. */
function folderName(domain: string): string {
  return domain.replace(/:(\d+)$/, '_$1_')
}
