/** `[plugins.gateways.docker]` of gantryd's configuration, and where the gateway lives. */
import * as z from 'zod'
import { defaultPluginFolders } from '#sdk/docker-plugins/discover.ts'
import { type ApiVersion, newestVersion } from '../http/api-version.ts'

export const settingsSchema = z.strictObject({
  api_version: z
    .string()
    .regex(/^1\.(2[4-9]|[34]\d|5[0-6])$/, `must be between 1.24 and ${newestVersion}`)
    .default('1.51')
    .describe('announced to clients; every version from 1.24 up is served whatever this says'),
  registry_mirrors: z
    .record(z.string(), z.array(z.string()))
    .default({})
    .describe('registry → base URLs tried before it, such as { "docker.io" = ["http://127.0.0.1:5000"] }'),
  registry_upstreams: z
    .record(z.string(), z.string())
    .default({})
    .describe('registry → base URL of the server to use in its place, where the registry itself cannot be reached'),
  tcp_address: z
    .string()
    .default('')
    .describe('HOST:PORT to listen on besides the socket, over TLS, for clients with a certificate; empty: nowhere'),
  tls_ca: z.string().default('').describe('PEM file: who signed the certificates of clients; needed for tcp_address'),
  tls_certificate: z.string().default('').describe('PEM file: our certificate'),
  tls_key: z.string().default('').describe('PEM file: its key'),
  docker_plugin_folders: z
    .array(z.string())
    .default([...defaultPluginFolders])
    .describe("where Docker's plugins say how they are reached: NAME.sock, NAME.spec or NAME.json"),
  insecure_registries: z.array(z.string()).default([]).describe('hosts that may be spoken to without TLS'),
})

export type DockerConfig = z.output<typeof settingsSchema>

export interface EngineSettings {
  /** Announced. */
  readonly apiVersion: ApiVersion
  /** Of the engine, as `docker version` shows it. */
  readonly version: string
  readonly config: DockerConfig
  /** Durable directory of the gateway alone: nothing that could not be made again from the core belongs there. */
  readonly root: string
  readonly state: string
  /** Eight hexadecimal digits, the same at every start on this root. */
  readonly instance: string
  readonly coreAddress: string
  readonly socket: string
  readonly groupId: number | undefined
}
