/** The configuration table of the cni plugin. */
import * as z from 'zod'
import { configOf } from '#sdk/plugin-config.ts'

const schema = z.strictObject({
  bin_directories: z
    .array(z.string())
    .min(1)
    .default(['/opt/cni/bin', '/usr/lib/cni', '/usr/libexec/cni'])
    .describe('Where CNI binaries are looked for, in order (CNI_PATH).'),
  config_directory: z
    .string()
    .default('/etc/cni/net.d')
    .describe('Where the option "cni.name" finds its configuration list.'),
})

export interface CniConfig {
  readonly binDirectories: readonly string[]
  readonly configDirectory: string
}

const { parseConfig: parse, configSchema } = configOf(schema)

export { configSchema }

/** INVALID_ARGUMENT names the key. */
export function parseConfig(raw: unknown): CniConfig {
  const table = parse(raw)
  return { binDirectories: table.bin_directories, configDirectory: table.config_directory }
}
