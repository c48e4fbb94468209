/** The build gateway as a process of its own beside a gantryd, and a client of it. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { pack } from 'tar-stream'
import {
  BuilderServiceDefinition,
  BuildOptions,
  type BuildRequest,
  type Result,
  type Step,
} from '#api/gen/gantry/services/builder/v1/builder.ts'
import { connect, createClient } from '#api/rpc/client.ts'
import type { Daemon } from '../daemon/daemon.ts'
import { patience } from '../daemon/patience.ts'

const main = join(import.meta.dirname, '../../plugins/gateways/builder/main.ts')

/** What a build told. */
export interface BuildReport {
  readonly result: Result
  /** Each step as it ended. */
  readonly steps: readonly Step[]
  readonly output: string
}

export type ContextFiles = Readonly<Record<string, string | { content?: string; mode?: number; link?: string }>>

export class BuilderProcess implements AsyncDisposable {
  readonly #daemon: Daemon
  #process: ChildProcess | undefined

  private constructor(daemon: Daemon) {
    this.#daemon = daemon
  }

  static async start(daemon: Daemon): Promise<BuilderProcess> {
    const builder = new BuilderProcess(daemon)
    await builder.start()
    return builder
  }

  get #socket(): string {
    return join(this.#daemon.folder, 'builder.sock')
  }

  async start(): Promise<void> {
    const at = (name: string) => join(this.#daemon.folder, name)
    const child = spawn(process.execPath, [main], {
      stdio: ['ignore', 'ignore', 'inherit'],
      env: {
        ...process.env,
        GANTRY_PLUGIN_ID: 'builder',
        GANTRY_PLUGIN_KIND: 'gateway',
        GANTRY_PLUGIN_ADDRESS: at('builder-plugin.sock'),
        GANTRY_PLUGIN_ROOT: at('builder'),
        GANTRY_PLUGIN_STATE: at('builder-run'),
        GANTRY_PLUGIN_CONFIG: '{}',
        GANTRY_INSTANCE: '00000000',
        GANTRY_LOG_LEVEL: 'warn',
        GANTRY_CORE_ADDRESS: this.#daemon.address,
        GANTRY_GATEWAY_SOCKET: this.#socket,
      },
    })
    this.#process = child
    for (const deadline = Date.now() + 20_000 * patience; !existsSync(at('builder-plugin.sock')); await sleep(20))
      if (Date.now() > deadline || child.exitCode !== null) throw new Error(`${main} did not come up`)
  }

  /** Builds; rejects as the build does, and then `onStep` has heard of every step. */
  async build(
    files: ContextFiles,
    options: Partial<BuildOptions> = {},
    { signal, onStep = () => {} }: { signal?: AbortSignal; onStep?: (step: Step) => void } = {},
  ): Promise<BuildReport> {
    const channel = connect(this.#socket, { namespace: 'default' })
    try {
      const client = createClient(BuilderServiceDefinition, channel)
      const ended = new Map<number, Step>()
      let output = ''
      let result: Result | undefined
      for await (const event of client.build(requests(files, options), signal ? { signal } : {})) {
        if (event.step) {
          onStep(event.step)
          ended.set(event.step.id, event.step)
        }
        if (event.output) output += event.output.data.toString()
        result = event.result ?? result
      }
      if (result === undefined) throw new Error('the build ended without a result')
      return { result, steps: [...ended.values()], output }
    } finally {
      channel.close()
    }
  }

  async kill(signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    const child = this.#process
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return
    const ended = once(child, 'exit')
    child.kill(signal)
    await ended
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill('SIGTERM')
  }
}

async function* requests(files: ContextFiles, options: Partial<BuildOptions>): AsyncGenerator<Partial<BuildRequest>> {
  yield { options: BuildOptions.fromPartial(options) }
  const tar = pack()
  for (const [name, file] of Object.entries(files)) {
    const { content = '', mode = 0o644, link } = typeof file === 'string' ? { content: file } : file
    if (link === undefined) tar.entry({ name, mode, uid: 1234 }, content)
    else tar.entry({ name, type: 'symlink', linkname: link }, '')
  }
  tar.finalize()
  for await (const chunk of tar as AsyncIterable<Buffer>) yield { context: chunk }
}
