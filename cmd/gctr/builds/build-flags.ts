/** Flags of `gctr build`, and what of them the builder is asked. */
import { readFile } from 'node:fs/promises'
import { invalidArgument } from '#api/errors/errors.ts'
import { BuildOptions } from '#api/gen/gantry/services/builder/v1/builder.ts'
import { knownCredentials } from '../streams/credentials.ts'
import { type AttestationFlags, attestationsOf } from './attestation-flags.ts'
import { type CacheFlags, cachesOf } from './cache-flags.ts'
import type { BuildContexts } from './contexts.ts'
import type { OutputFlags } from './outputs.ts'
import { agentsOf, secretsOf } from './secrets.ts'
import { readStandardInput } from './standard-input.ts'

export interface BuildFlags extends OutputFlags, AttestationFlags, CacheFlags {
  buildContext: string[]
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
  progress: string
  user?: string
  plainHttp?: boolean
  hostsDir?: string
}

export async function optionsOf(flags: BuildFlags, contexts: BuildContexts): Promise<BuildOptions> {
  const { target = '', platform = '', network = '', file } = flags
  return BuildOptions.fromPartial({
    ...{ target, platform, network, noCache: !flags.cache, pull: flags.pull ?? false, extraHosts: flags.addHost },
    args: { ...epoch(), ...pairs(flags.buildArg, name => process.env[name]) },
    ...{ entitlements: flags.allow, checkOnly: flags.check ?? false },
    ...attestationsOf(flags),
    ...{ remote: contexts.remote, namedContexts: { ...contexts.named } },
    ...cachesOf(flags),
    secrets: await secretsOf(flags.secret),
    sshAgents: agentsOf(flags.ssh),
    labels: pairs(flags.label, () => ''),
    ...(await dockerfileOf(file, contexts)),
    registryCredentials: knownCredentials(),
  })
}

/** A folder's Dockerfile may lie outside of it: it goes along by itself, and so does its own ignore file. */
async function dockerfileOf(file: string | undefined, { folder, input }: BuildContexts) {
  if (input !== undefined && 'dockerfile' in input) return { inlineDockerfile: input.dockerfile }
  if (file === '-') return { inlineDockerfile: await readAll() }
  if (file === undefined) return {}
  if (folder === undefined) return { dockerfile: file }
  const ignore = await readFile(`${file}.dockerignore`).catch(() => Buffer.alloc(0))
  return { inlineDockerfile: await readFile(file), dockerfile: file, inlineDockerignore: ignore }
}

/** `--file -`. INVALID_ARGUMENT: it is an archive. */
async function readAll(): Promise<Buffer> {
  const input = await readStandardInput()
  if ('dockerfile' in input) return input.dockerfile
  throw invalidArgument('--file -: standard input is an archive and no Dockerfile')
}

/** Of the environment, as for every tool that builds (reproducible-builds.org/specs/source-date-epoch). */
function epoch(): Record<string, string> {
  const { SOURCE_DATE_EPOCH } = process.env
  return SOURCE_DATE_EPOCH === undefined ? {} : { SOURCE_DATE_EPOCH }
}

/** `NAME=VALUE`; `NAME` alone takes what `otherwise` knows, and goes where it knows nothing. */
function pairs(texts: readonly string[], otherwise: (name: string) => string | undefined): Record<string, string> {
  const entries = texts.map(text => {
    const at = text.indexOf('=')
    return at < 0 ? [text, otherwise(text)] : [text.slice(0, at), text.slice(at + 1)]
  })
  return Object.fromEntries(entries.filter(([, value]) => value !== undefined))
}
