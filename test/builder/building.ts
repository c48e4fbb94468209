/** Builds on a gantryd, as a client of its builder. */
import assert from 'node:assert/strict'
import { after, before } from 'node:test'
import { pack } from 'tar-stream'
import {
  BuilderServiceDefinition,
  BuildOptions,
  type BuildRequest,
  type Result,
  type Step,
} from '#api/gen/gantry/services/builder/v1/builder.ts'
import { PluginsServiceDefinition } from '#api/gen/gantry/services/plugins/v1/plugins.ts'
import { connect, createClient } from '#api/rpc/client.ts'
import { Daemon } from '../daemon/daemon.ts'

/** What a build told. */
export interface BuildReport {
  readonly result: Result
  /** Each step as it ended. */
  readonly steps: readonly Step[]
  readonly output: string
}

export type ContextFiles = Readonly<
  Record<string, string | Buffer | { content?: string; mode?: number; link?: string }>
>

export interface BuildListener {
  readonly signal?: AbortSignal
  onStep?(step: Step): void
}

/** Why the tests of builds cannot run here; false when they can. */
export const skip = process.getuid?.() === 0 ? false : 'containers need root'
/** Image that the fixture's gantryd has. */
export const base = 'test.example/busybox:1'

export interface Building {
  /** Between the first test of the file and its last. */
  readonly daemon: Daemon
  build(dockerfile: string[], files?: ContextFiles, options?: Partial<BuildOptions>): Promise<BuildReport>
  /** What a command of an image writes. */
  output(image: string, ...command: string[]): Promise<string>
}

/** A gantryd with {@link base}, for the tests of one file; they go with {@link skip}. */
export function building(...options: Parameters<typeof Daemon.start>): Building {
  let daemon: Daemon
  before(async () => {
    if (skip) return
    daemon = await Daemon.start(...options)
    await daemon.importBusybox(base)
  })
  after(async () => {
    await daemon?.[Symbol.asyncDispose]()
  })
  return {
    get daemon() {
      return daemon
    },
    build: (dockerfile, files = {}, options = {}) =>
      build(daemon.address, { ...files, Dockerfile: dockerfile.join('\n') }, options),
    async output(image, ...command) {
      const { code, stdout, stderr } = await daemon.run('run', '--rm', '--net', 'none', image, ...command)
      assert.equal(code, 0, stderr)
      return stdout
    },
  }
}

/** Where the builder of the gantryd at `address` serves; started when it is not. */
export async function reachBuilder(address: string): Promise<string> {
  const core = connect(address, {})
  try {
    return (await createClient(PluginsServiceDefinition, core).reach({ kind: 'builder', id: 'dockerfile' })).address
  } finally {
    core.close()
  }
}

/** Builds in the namespace `default`; rejects as the build does. */
export async function build(
  address: string,
  files: ContextFiles,
  options: Partial<BuildOptions> = {},
  { signal, onStep }: BuildListener = {},
): Promise<BuildReport> {
  const channel = connect(await reachBuilder(address), { namespace: 'default' })
  try {
    const steps = new Map<number, Step>()
    let output = ''
    let result: Result | undefined
    const builder = createClient(BuilderServiceDefinition, channel)
    for await (const event of builder.build(requests(files, options), signal ? { signal } : {})) {
      if (event.step) {
        onStep?.(event.step)
        steps.set(event.step.id, event.step)
      }
      if (event.output) output += event.output.data.toString()
      result = event.result ?? result
    }
    if (result === undefined) throw new Error('the build ended without a result')
    return { result, steps: [...steps.values()], output }
  } finally {
    channel.close()
  }
}

const pieceBytes = 1024 * 1024

async function* requests(files: ContextFiles, options: Partial<BuildOptions>): AsyncGenerator<Partial<BuildRequest>> {
  yield { options: BuildOptions.fromPartial(options) }
  if (options.remote) return
  for await (const chunk of archiveOf(files))
    for (let at = 0; at < chunk.length; at += pieceBytes) yield { context: chunk.subarray(at, at + pieceBytes) }
}

/** The files as a tar archive, somebody else's. */
export function archiveOf(files: ContextFiles): AsyncIterable<Buffer> {
  const tar = pack()
  for (const [name, file] of Object.entries(files)) {
    const {
      content = '',
      mode = 0o644,
      link,
    } = typeof file === 'string' || Buffer.isBuffer(file) ? { content: file } : file
    if (link === undefined) tar.entry({ name, mode, uid: 1234 }, content)
    else tar.entry({ name, type: 'symlink', linkname: link }, '')
  }
  tar.finalize()
  return tar as AsyncIterable<Buffer>
}
