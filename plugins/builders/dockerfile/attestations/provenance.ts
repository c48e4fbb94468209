/** How an image was made: SLSA provenance v1 (slsa.dev/spec/v1.0/provenance). */
import { invalidArgument } from '#api/errors/errors.ts'
import { formatPlatform, hostPlatform } from '#api/types/platform.ts'
import type { BuiltStage } from '../outputs/built-stage.ts'
import type { Build } from '../solve/build-request.ts'
import { publicArgument, redacted } from './redact.ts'
import type { Predicate } from './statement.ts'

/** What `externalParameters` and `internalParameters` mean: docs/build-outputs.md. */
const buildType = 'urn:gantry:build:dockerfile:v1'
const builderID = 'urn:gantry:builder:dockerfile'

/** Undefined where none is wanted. INVALID_ARGUMENT: a mode that is none. */
export function provenance(build: Build, built: BuiltStage): Predicate | undefined {
  const { provenance: mode } = build.options
  if (mode === '') return undefined
  if (mode !== 'min' && mode !== 'max') throw invalidArgument(`provenance mode "${mode}": it is min or max`)
  const predicate = {
    buildDefinition: {
      buildType,
      externalParameters: parameters(build, built, mode === 'max'),
      internalParameters: internals(build, mode === 'max'),
      resolvedDependencies: build.materials.list().map(({ uri, digest }) => ({ uri, digest: digestSet(digest) })),
    },
    runDetails: { builder: { id: builderID }, metadata: metadata(build) },
  }
  return { type: 'https://slsa.dev/provenance/v1', predicate: redacted(predicate, build.options) }
}

/** `max` tells what the user gave; `min` only what it was about: values of arguments may be nobody's business. */
function parameters({ options, dockerfile }: Build, { platform }: BuiltStage, isMax: boolean) {
  const request = { target: options.target, platform: formatPlatform(platform) }
  const configSource = { path: dockerfile.file }
  if (!isMax) return { configSource, request }
  const args = sorted(options.args).map(([name, value]) => [name, publicArgument(name, value)])
  return {
    configSource,
    request: {
      ...request,
      args: Object.fromEntries(args),
      labels: Object.fromEntries(sorted(options.labels)),
      network: options.network,
      noCache: options.noCache,
      secrets: Object.keys(options.secrets).toSorted(),
      ssh: Object.keys(options.sshAgents).toSorted(),
    },
  }
}

function internals({ dockerfile }: Build, isMax: boolean) {
  const builderPlatform = formatPlatform(hostPlatform())
  return isMax ? { builderPlatform, dockerfile: dockerfile.lines.join('\n') } : { builderPlatform }
}

/** An epoch stands for the time: two builds of the same are told alike. */
function metadata({ epoch, events }: Build) {
  if (epoch !== undefined) return { startedOn: epoch.toISOString(), finishedOn: epoch.toISOString() }
  return {
    invocationId: crypto.randomUUID(),
    startedOn: events.startedAt.toISOString(),
    finishedOn: new Date().toISOString(),
  }
}

function digestSet(digest: string): Record<string, string> {
  const [algorithm = '', hex = ''] = digest.split(':')
  return { [algorithm]: hex }
}

function sorted(values: Readonly<Record<string, string>>): [string, string][] {
  return Object.entries(values).toSorted(([a], [b]) => (a < b ? -1 : 1))
}
