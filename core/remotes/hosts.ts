/**
 * Which hosts may serve a registry's images, and how to speak to each: containerd's host directories
 * (containerd docs/hosts.md). `<dir>/<host>/hosts.toml`, or `_default/hosts.toml`, or Docker's certificate files
 * (`*.crt`, `*.cert` + `*.key`) in the same folder. A port is written `host_5000_` or `host:5000`.
 */
import { readdir, readFile, stat } from 'node:fs/promises'
import { join, posix, resolve } from 'node:path'
import { parse } from 'smol-toml'
import * as z from 'zod'
import { invalidArgument, messageOf } from '#api/errors/errors.ts'

export const capabilities = ['pull', 'resolve', 'push', 'referrers'] as const
export type Capability = (typeof capabilities)[number]

export interface TlsFiles {
  /** PEM files of further authorities. */
  readonly ca: readonly string[]
  /** Certificate and key; the key is in the first file when there is no second. */
  readonly client: readonly (readonly [certificate: string, key: string | undefined])[]
  readonly skipVerify: boolean
}

/** One server that may answer for a registry. */
export interface RegistryHost {
  /** `either`: https, and http when the server does not speak TLS; only for loopback. */
  readonly scheme: 'http' | 'https' | 'either'
  /** `registry.example:5000` */
  readonly host: string
  /** Where its API starts: `/v2`. */
  readonly path: string
  readonly capabilities: ReadonlySet<Capability>
  readonly headers: Readonly<Record<string, string>>
  readonly tls: TlsFiles
  readonly connectTimeoutMs?: number
}

const noTls: TlsFiles = { ca: [], client: [], skipVerify: false }
const texts = z.union([z.string().transform(text => [text]), z.array(z.string())])
const clientPairs = z.union([
  z.string().transform(file => [[file]]),
  z.array(z.union([z.string().transform(file => [file]), z.array(z.string()).length(2)])),
])
const hostSchema = z.object({
  capabilities: z.array(z.string().toLowerCase().pipe(z.enum(capabilities))).optional(),
  ca: texts.optional(),
  client: clientPairs.optional(),
  skip_verify: z.boolean().optional(),
  header: z.record(z.string(), texts).optional(),
  override_path: z.boolean().optional(),
  dial_timeout: z.string().optional(),
})
const fileSchema = hostSchema.extend({
  server: z.string().optional(),
  host: z.record(z.string(), hostSchema).optional(),
})
type HostTable = z.infer<typeof hostSchema>

/** Hosts for a domain, in the order to try them. INVALID_ARGUMENT names the file and the key that is wrong. */
export async function loadHosts(
  domain: string,
  options: { hostDir?: string | undefined; defaultScheme?: 'http' | 'https' | undefined },
): Promise<RegistryHost[]> {
  const folder = options.hostDir === undefined ? undefined : await findFolder(options.hostDir, domain)
  const upstream = defaultHost(domain, options.defaultScheme)
  if (folder === undefined) return [upstream]
  const file = join(folder, 'hosts.toml')
  const text = await readIfThere(file)
  if (text === undefined || text.trim() === '') return [{ ...upstream, ...(await certificateFiles(folder, upstream)) }]
  return parseHostsFile(file, text, upstream)
}

/** True for names and addresses that never leave this machine. */
export function isLoopback(host: string): boolean {
  const name = host.replace(/:\d+$/, '').replace(/^\[(.*)\]$/, '$1')
  return name === 'localhost' || name === '::1' || /^127(\.\d{1,3}){3}$/.test(name)
}

function defaultHost(domain: string, defaultScheme: 'http' | 'https' | undefined): RegistryHost {
  const loopback = isLoopback(domain)
  const port = /:(\d+)$/.exec(domain)?.[1]
  return {
    scheme: defaultScheme ?? schemeFor(loopback, port),
    host: domain === 'docker.io' ? 'registry-1.docker.io' : domain,
    path: '/v2',
    capabilities: new Set(capabilities),
    headers: {},
    // A certificate for a name that only this machine can mean proves nothing.
    tls: loopback ? { ...noTls, skipVerify: true } : noTls,
  }
}

function schemeFor(loopback: boolean, port: string | undefined): RegistryHost['scheme'] {
  if (!loopback || port === undefined || port === '443') return 'https'
  return port === '80' ? 'http' : 'either'
}

async function findFolder(hostDir: string, domain: string): Promise<string | undefined> {
  const escaped = domain.replace(/:(\d+)$/, '_$1_')
  for (const name of new Set([escaped, domain, '_default'])) {
    const folder = join(hostDir, name)
    const found = await stat(folder).catch(() => undefined)
    if (found?.isDirectory()) return folder
  }
  return undefined
}

async function readIfThere(file: string): Promise<string | undefined> {
  try {
    return await readFile(file, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}

function parseHostsFile(file: string, text: string, upstream: RegistryHost): RegistryHost[] {
  const table = parseTable(file, text)
  const folder = join(file, '..')
  const mirrors = Object.entries(table.host ?? {}).map(([server, host]) => hostOf(file, folder, server, host))
  const last =
    table.server === undefined
      ? { ...upstream, ...settingsOf(file, folder, table, upstream) }
      : hostOf(file, folder, table.server, table)
  return [...mirrors, last]
}

function parseTable(file: string, text: string): z.infer<typeof fileSchema> {
  let raw: unknown
  try {
    raw = parse(text)
  } catch (cause) {
    throw invalidArgument(`host configuration ${file}: ${messageOf(cause)}`, { cause })
  }
  const result = fileSchema.safeParse(raw)
  if (result.success) return result.data
  const issue = result.error.issues[0]
  throw invalidArgument(`host configuration ${file}: ${issue?.path.join('.')}: ${issue?.message}`)
}

function hostOf(file: string, folder: string, server: string, table: HostTable): RegistryHost {
  const url = URL.parse(/^https?:\/\//.test(server) ? server : `https://${server}`)
  if (url === null) throw invalidArgument(`host configuration ${file}: "${server}" is not a URL`)
  const scheme = url.protocol === 'http:' ? 'http' : 'https'
  const base = { scheme, host: url.host, path: apiPath(url.pathname, table.override_path ?? false) } as const
  return { ...base, ...settingsOf(file, folder, table) }
}

/** containerd appends `/v2` unless the path ends so or `override_path` says that it is complete. */
function apiPath(path: string, complete: boolean): string {
  const clean = path === '/' ? '' : posix.normalize(path).replace(/\/$/, '')
  return complete || clean.endsWith('/v2') ? clean : `${clean}/v2`
}

function settingsOf(file: string, folder: string, table: HostTable, base?: RegistryHost) {
  const absolute = (path: string) => resolve(folder, path)
  return {
    capabilities: new Set(table.capabilities ?? capabilities),
    headers: Object.fromEntries(Object.entries(table.header ?? {}).map(([name, values]) => [name, values.join(', ')])),
    tls: {
      ca: (table.ca ?? []).map(absolute),
      client: (table.client ?? []).map(
        ([certificate, key]) => [absolute(certificate ?? ''), key === undefined ? undefined : absolute(key)] as const,
      ),
      skipVerify: table.skip_verify ?? base?.tls.skipVerify ?? false,
    },
    ...(table.dial_timeout !== undefined && { connectTimeoutMs: parseDuration(file, table.dial_timeout) }),
  }
}

const unitMs: Record<string, number> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 }

/** Go's notation: `1m30s`, `300ms`. */
function parseDuration(file: string, text: string): number {
  const parts = [...text.matchAll(/(\d+(?:\.\d+)?)(ms|s|m|h)/g)]
  if (parts.length === 0 || parts.map(part => part[0]).join('') !== text)
    throw invalidArgument(`host configuration ${file}: dial_timeout "${text}" is not a duration such as 5s or 1m30s`)
  return parts.reduce((total, [, amount, unit]) => total + Number(amount) * (unitMs[unit ?? ''] ?? 0), 0)
}

async function certificateFiles(folder: string, base: RegistryHost): Promise<{ tls: TlsFiles }> {
  const names = (await readdir(folder)).sort()
  const client = names
    .filter(name => name.endsWith('.cert'))
    .map(name => {
      const key = name.replace(/cert$/, 'key')
      return [join(folder, name), names.includes(key) ? join(folder, key) : undefined] as const
    })
  const ca = names.filter(name => name.endsWith('.crt')).map(name => join(folder, name))
  // Whoever gives certificates wants them checked.
  return { tls: { ca, client, skipVerify: ca.length === 0 && base.tls.skipVerify } }
}
