/** Checks of FROM lines: names, platforms, arguments. */
import type { Dockerfile } from '../language/dockerfile.ts'
import { expandWord } from '../language/expand.ts'
import type { Finding, Rule } from './checks.ts'

/** Names that mean something else. */
const reserved: ReadonlySet<string> = new Set(['scratch', 'context'])
/** ARGs that are there without being declared. */
const platformArgs: ReadonlySet<string> = new Set(
  ['PLATFORM', 'OS', 'ARCH', 'VARIANT'].flatMap(name => [`BUILD${name}`, `TARGET${name}`]),
)

export const stageRules: readonly Rule[] = [
  {
    name: 'ReservedStageName',
    description: 'Reserved words should not be used as stage names',
    find: ({ stages }) =>
      stages.flatMap(({ name, location }) =>
        name !== undefined && reserved.has(name)
          ? [{ message: `Stage name should not use the same name as reserved stage "${name}"`, location }]
          : [],
      ),
  },
  {
    name: 'RedundantTargetPlatform',
    description: 'Setting platform to predefined $TARGETPLATFORM in FROM is redundant as this is the default behavior',
    find: ({ stages }) =>
      stages.flatMap(({ platform, location }) =>
        platform !== undefined && /^\$\{?TARGETPLATFORM\}?$/.test(platform)
          ? [
              {
                message: `Setting platform to predefined ${platform} in FROM is redundant as this is the default behavior`,
                location,
              },
            ]
          : [],
      ),
  },
  {
    name: 'FromPlatformFlagConstDisallowed',
    description: 'FROM --platform flag should not use a constant value',
    find: constantPlatforms,
  },
  {
    name: 'UndefinedArgInFrom',
    description: 'FROM command must use declared ARGs',
    find: undeclaredArguments,
  },
  {
    name: 'InvalidDefaultArgInFrom',
    description: 'Default value for global ARG results in an empty or invalid base image name',
    find: emptyBases,
  },
]

/** A stage named after its platform says that it is meant. */
function* constantPlatforms({ stages }: Dockerfile): Generator<Finding> {
  for (const { platform, name, location } of stages)
    if (platform !== undefined && !platform.includes('$') && name?.includes(platform.split('/').at(-1) ?? '') !== true)
      yield { message: `FROM --platform flag should not use constant value "${platform}"`, location }
}

function* undeclaredArguments({ globalArgs, stages, directives: { escapeChar } }: Dockerfile): Generator<Finding> {
  const declared = new Set(globalArgs.flatMap(({ args }) => args.map(({ name }) => name)))
  for (const { base, platform = '', location } of stages) {
    const missing: string[] = []
    const lookup = (name: string) => (declared.has(name) || platformArgs.has(name) ? 'x' : undefined)
    for (const word of [base, platform]) expandWord(word, { escapeChar, lookup, onUnset: name => missing.push(name) })
    for (const name of missing) yield { message: `FROM argument '${name}' is not declared`, location }
  }
}

function* emptyBases({ globalArgs, stages, directives: { escapeChar } }: Dockerfile): Generator<Finding> {
  const defaults = new Map<string, string>()
  for (const { args } of globalArgs)
    for (const { name, value = '' } of args)
      defaults.set(name, expandWord(value, { escapeChar, lookup: earlier => defaults.get(earlier) }))
  for (const { base, location } of stages) {
    const chosen = expandWord(base, {
      escapeChar,
      lookup: name => defaults.get(name) ?? (platformArgs.has(name) ? 'x' : undefined),
    })
    if (base.includes('$') && !isReference(chosen))
      yield { message: `Default value for ARG ${base} results in empty or invalid base image name`, location }
  }
}

/** Enough to tell a name from the holes that empty variables leave in one. */
function isReference(text: string): boolean {
  return /^[a-z0-9][\w.\-/:@]*[\w]$|^[a-z0-9]$/.test(text) && !/[:/@]{2}|:$/.test(text)
}
