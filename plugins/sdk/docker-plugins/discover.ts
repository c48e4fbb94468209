/**
 * Docker's legacy ("v1") plugins: where they say how they are reached. A plugin is a file in one of some folders, named after
 * it: `NAME.sock`, a socket; `NAME.spec`, its URL as text; `NAME.json`, URL and TLS. Each may lie in a folder `NAME` too.
 * (docs.docker.com, "Docker Plugin API"; moby's pkg/plugins.)
 */
import { readdir, readFile, stat } from 'node:fs/promises'
import { basename, extname, join } from 'node:path'
import * as z from 'zod'
import { invalidArgument } from '#api/errors/errors.ts'

/** Where Docker looks. */
export const defaultPluginFolders: readonly string[] = [
  '/run/docker/plugins',
  '/etc/docker/plugins',
  '/usr/lib/docker/plugins',
]

export interface PluginAddress {
  name: string
  /** `unix:///PATH`, `tcp://HOST:PORT`, `http://…` or `https://…`. */
  url: string
  tls?: PluginTls
}

/** PEM files. */
export interface PluginTls {
  ca: string
  certificate: string
  key: string
  /** The plugin's certificate is not checked. */
  insecure: boolean
}

/** In the order in which they count. */
const extensions = ['.sock', '.spec', '.json'] as const

const namePattern = /^[a-zA-Z0-9][a-zA-Z0-9_.-]*$/

/** Undefined: there is none of that name. INVALID_ARGUMENT names a file that cannot be understood. */
export async function findPlugin(folders: readonly string[], name: string): Promise<PluginAddress | undefined> {
  if (!namePattern.test(name)) return undefined
  for (const extension of extensions)
    for (const folder of folders)
      for (const path of [join(folder, name + extension), join(folder, name, name + extension)]) {
        const address = await addressIn(path, name)
        if (address !== undefined) return address
      }
  return undefined
}

/** Names of all that are there, whatever they do. */
export async function listPlugins(folders: readonly string[]): Promise<string[]> {
  const names = new Set<string>()
  for (const folder of folders) {
    const entries = await readdir(folder).catch(() => [])
    for (const entry of entries) {
      const inner = await readdir(join(folder, entry)).catch(() => undefined)
      const files = inner?.filter(file => basename(file, extname(file)) === entry) ?? [entry]
      for (const file of files) if (isPluginFile(file)) names.add(basename(file, extname(file)))
    }
  }
  return [...names].filter(name => namePattern.test(name)).sort()
}

const isPluginFile = (file: string): boolean => extensions.some(extension => extension === extname(file))

async function addressIn(path: string, name: string): Promise<PluginAddress | undefined> {
  const found = await stat(path).catch(() => undefined)
  if (found === undefined) return undefined
  if (path.endsWith('.sock')) return found.isSocket() ? { name, url: `unix://${path}` } : undefined
  if (!found.isFile()) return undefined
  const text = await readFile(path, 'utf8')
  return path.endsWith('.json') ? fromJson(path, name, text) : { name, url: checkedUrl(path, text.trim()) }
}

const descriptionSchema = z.object({
  Addr: z.string(),
  TLSConfig: z
    .object({
      CAFile: z.string().default(''),
      CertFile: z.string().default(''),
      KeyFile: z.string().default(''),
      InsecureSkipVerify: z.boolean().default(false),
    })
    .nullish(),
})

function fromJson(path: string, name: string, text: string): PluginAddress {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (cause) {
    throw invalidArgument(`"${path}" describes plugin "${name}" and is not JSON`, { cause })
  }
  const { success, data, error } = descriptionSchema.safeParse(value)
  if (!success) throw invalidArgument(`"${path}" describes plugin "${name}": ${z.prettifyError(error)}`)
  const { Addr, TLSConfig: tls } = data
  const url = checkedUrl(path, Addr)
  if (!tls) return { name, url }
  const { CAFile: ca, CertFile: certificate, KeyFile: key, InsecureSkipVerify } = tls
  // Docker's rule: without an authority there is nothing to check it by.
  return { name, url, tls: { ca, certificate, key, insecure: InsecureSkipVerify || ca === '' } }
}

function checkedUrl(path: string, url: string): string {
  if (/^(unix:\/\/\/.|(tcp|https?):\/\/[^/]+)/.test(url)) return url
  throw invalidArgument(
    `"${path}" has no address of a plugin: ${JSON.stringify(url)} is not unix:///PATH or tcp://HOST:PORT`,
  )
}
