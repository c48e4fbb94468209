/** A gantryd and sample plugins for it, by gctr, for tests of a plugin's life. */
import assert from 'node:assert/strict'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { NetworksServiceDefinition } from '#api/gen/gantry/services/networks/v1/networks.ts'
import { type Plugin, PluginsServiceDefinition } from '#api/gen/gantry/services/plugins/v1/plugins.ts'
import { connect, createClient } from '#api/rpc/client.ts'
import { stateName } from '../../cmd/gctr/commands/plugins.ts'
import type { Daemon } from '../daemon/daemon.ts'
import { patience } from '../daemon/patience.ts'

export const timeout = 300_000 * patience
export const skip = process.getuid?.() === 0 ? false : 'needs root'
export const samplePlugin = join(import.meta.dirname, '../../core/plugins/testing/sample-plugin.ts')

/** Of the sample plugin's configuration; all else is refused. */
const schema = {
  type: 'object',
  properties: {
    network: { type: 'boolean', default: true },
    print: { type: 'array' },
    flood: { type: 'boolean' },
    children: { type: 'integer' },
    huge: { type: 'integer' },
    sayId: { type: 'string' },
  },
  additionalProperties: false,
}

export type Row = Omit<Plugin, 'state'> & { readonly state: string }

export interface FolderOptions {
  argv?: readonly string[]
  /** Further lines of the manifest. */
  more?: readonly string[]
}

/** Folders with plugins that are not installed yet. */
export class PluginRoom implements AsyncDisposable {
  readonly path: string

  private constructor(path: string) {
    this.path = path
  }

  static async open(): Promise<PluginRoom> {
    return new PluginRoom(await mkdtemp(join(tmpdir(), 'gantry-life-')))
  }

  /** A folder with a network plugin: the sample one, unless told otherwise. */
  async folder(
    id: string,
    version: string,
    { argv = [samplePlugin], more = ['linux_capabilities = []'] }: FolderOptions = {},
  ): Promise<string> {
    const path = join(this.path, `${id}-${version}`)
    await mkdir(path, { recursive: true })
    await writeFile(join(path, 'schema.json'), JSON.stringify(schema))
    const lines = [
      `id = "${id}"`,
      'kind = "network"',
      `version = "${version}"`,
      `executable = ${JSON.stringify(argv)}`,
      'config_schema = "schema.json"',
      ...more,
    ]
    await writeFile(join(path, 'plugin.toml'), lines.join('\n'))
    return path
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.path, { recursive: true, force: true })
  }
}

export async function gctr(daemon: Daemon, ...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await daemon.run(...args)
  assert.equal(code, 0, `gctr ${args.join(' ')}: ${stderr}\n${daemon.log}`)
  return stdout
}

export async function refused(daemon: Daemon, message: RegExp, ...args: string[]): Promise<void> {
  const { code, stderr } = await daemon.run(...args)
  assert.notEqual(code, 0)
  assert.match(stderr, message)
}

/** As in `plugins ls`. Asked directly: a command would cost more than all else these tests do. */
export async function row(daemon: Daemon, id: string): Promise<Row | undefined> {
  using channel = connect(daemon.address)
  const { plugins } = await createClient(PluginsServiceDefinition, channel).list({})
  const found = plugins.find(plugin => plugin.id === id)
  return found && { ...found, state: stateName(found.state) }
}

export async function until(what: string, daemon: Daemon, holds: () => Promise<boolean>): Promise<void> {
  for (const deadline = Date.now() + 60_000 * patience; !(await holds()); await sleep(50))
    if (Date.now() > deadline) assert.fail(`${what} did not come about; gantryd said:\n${daemon.log}`)
}

/** Calls that need the network plugin. */
export async function use(daemon: Daemon, driver: string, name = 'n1'): Promise<void> {
  using channel = connect(daemon.address, { namespace: 'default' })
  const networks = createClient(NetworksServiceDefinition, channel)
  await networks.create({ name, driver })
  await networks.remove({ network: name })
}
