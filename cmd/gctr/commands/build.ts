/** `gctr build` and `gctr builder ls|prune`: images from Dockerfiles. */
import { createReadStream } from 'node:fs'
import { lstat, readdir, readFile, readlink } from 'node:fs/promises'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { type Pack, pack } from 'tar-stream'
import { invalidArgument } from '#api/errors/errors.ts'
import { BuildOptions, type BuildRequest } from '#api/gen/gantry/services/builder/v1/builder.ts'
import { formatReference, parseReference } from '#api/types/reference.ts'
import { agentsOf, secretsOf } from '../build-secrets.ts'
import { reachBuilder } from '../builder-client.ts'
import { printJson } from '../output/json.ts'
import { printRecords } from '../output/table.ts'
import { formatBytes } from '../output/units.ts'
import { BuildLines } from '../progress/build-lines.ts'
import type { Session } from '../session.ts'

export interface BuildFlags {
  tag: string[]
  file?: string
  target?: string
  buildArg: string[]
  label: string[]
  platform?: string
  network?: string
  addHost: string[]
  cache: boolean
  pull?: boolean
  quiet?: boolean
  allow: string[]
  check?: boolean
  secret: string[]
  ssh: string[]
}

export async function build(session: Session, flags: BuildFlags, folder: string): Promise<void> {
  if (!(await lstat(folder)).isDirectory()) throw invalidArgument(`context "${folder}" is not a directory`)
  using client = await reachBuilder(session)
  const lines = new BuildLines(flags.check ? process.stdout : process.stderr)
  let warnings = 0
  for await (const event of client.builder.build(requests(folder, await optionsOf(flags)))) {
    if (event.warning) warnings++
    if (event.result && session.json) printJson(event.result)
    else if (event.result) console.log(event.result.imageId)
    else if (!flags.quiet) lines.tell(event)
  }
  if (flags.check) checked(warnings)
}

/** As `docker build --check`: warnings are a failure. */
function checked(warnings: number): void {
  console.log(
    warnings === 0 ? 'Check complete, no warnings found.' : `Check complete, ${warnings} warnings have been found!`,
  )
  if (warnings > 0) process.exitCode = 1
}

export async function list(session: Session): Promise<void> {
  using client = await reachBuilder(session)
  const { entries } = await client.builder.list({})
  if (session.json) return printJson(entries)
  printRecords(
    entries,
    {
      KEY: ({ key }) => key.slice(0, 12),
      SIZE: ({ sizeBytes }) => formatBytes(sizeBytes),
      USES: ({ uses }) => String(uses),
      INSTRUCTION: ({ instruction }) => instruction.slice(0, 80),
    },
    false,
  )
}

export async function prune(session: Session, flags: { keep: string }): Promise<void> {
  if (!/^\d+$/.test(flags.keep)) throw invalidArgument(`--keep "${flags.keep}" is not a number of bytes`)
  using client = await reachBuilder(session)
  const { keys, freedBytes } = await client.builder.prune({ keepBytes: BigInt(flags.keep) })
  if (session.json) return printJson({ keys, freedBytes })
  console.log(`${keys.length} steps forgotten, ${formatBytes(freedBytes)} given to the next collection`)
}

async function optionsOf(flags: BuildFlags): Promise<BuildOptions> {
  const { target = '', platform = '', network = '', file } = flags
  return BuildOptions.fromPartial({
    names: flags.tag.map(name => formatReference(parseReference(name))),
    ...{ target, platform, network, noCache: !flags.cache, pull: flags.pull ?? false, extraHosts: flags.addHost },
    args: pairs(flags.buildArg, name => process.env[name]),
    ...{ entitlements: flags.allow, checkOnly: flags.check ?? false },
    secrets: await secretsOf(flags.secret),
    sshAgents: agentsOf(flags.ssh),
    labels: pairs(flags.label, () => ''),
    // A Dockerfile from elsewhere goes along by itself; one in the context is found there.
    ...(file !== undefined && { inlineDockerfile: await readFile(file), dockerfile: file }),
  })
}

/** `NAME=VALUE`; `NAME` alone takes what `otherwise` knows, and goes where it knows nothing. */
function pairs(texts: readonly string[], otherwise: (name: string) => string | undefined): Record<string, string> {
  const entries = texts.map(text => {
    const at = text.indexOf('=')
    return at < 0 ? [text, otherwise(text)] : [text.slice(0, at), text.slice(at + 1)]
  })
  return Object.fromEntries(entries.filter(([, value]) => value !== undefined))
}

async function* requests(folder: string, options: BuildOptions): AsyncGenerator<Partial<BuildRequest>> {
  yield { options }
  const archive = pack()
  const packed = add(archive, folder, '').then(() => archive.finalize())
  packed.catch(error => archive.destroy(error))
  for await (const context of archive as AsyncIterable<Buffer>) yield { context }
  await packed
}

/** The folder's files, by name; the builder leaves out what `.dockerignore` names. */
async function add(archive: Pack, folder: string, below: string): Promise<void> {
  for (const name of (await readdir(join(folder, below))).toSorted()) {
    const path = join(below, name)
    const stats = await lstat(join(folder, path))
    const header = { name: path, mode: stats.mode & 0o7777, mtime: stats.mtime }
    if (stats.isDirectory()) {
      archive.entry({ ...header, type: 'directory' }, '')
      await add(archive, folder, path)
    } else if (stats.isSymbolicLink())
      archive.entry({ ...header, type: 'symlink', linkname: await readlink(join(folder, path)) }, '')
    else if (stats.isFile())
      await pipeline(createReadStream(join(folder, path)), archive.entry({ ...header, size: stats.size }))
  }
}
