/** Checks of single instructions, and of those that should be there once. */
import type { CommandForm, Dockerfile, Instruction } from '../language/dockerfile.ts'
import type { Finding, Rule } from './checks.ts'
import { isSecretName } from './secret-names.ts'

/** The kind of instruction that has this keyword, alone or with others. */
type Having<K extends Instruction['keyword'], I = Instruction> = I extends { keyword: infer J }
  ? K extends J
    ? I
    : never
  : never
type Find<K extends Instruction['keyword']> = (instruction: Having<K>) => readonly string[]

export const instructionRules: readonly Rule[] = [
  {
    name: 'JSONArgsRecommended',
    description: 'JSON arguments recommended for ENTRYPOINT/CMD to prevent unintended behavior related to OS signals',
    find: shellForms,
  },
  rule(
    'MaintainerDeprecated',
    'The MAINTAINER instruction is deprecated, use a label instead to define an image author',
    {
      MAINTAINER: () => ['Maintainer instruction is deprecated in favor of using label'],
    },
  ),
  {
    name: 'WorkdirRelativePath',
    description: 'Relative workdir without an absolute workdir declared within the build can have unexpected results',
    find: relativeWorkdirs,
  },
  {
    name: 'MultipleInstructionsDisallowed',
    description: 'Multiple instructions of the same type should not be used in the same stage',
    find: repeated,
  },
  rule('LegacyKeyValueFormat', 'Legacy key/value format with whitespace separator should not be used', {
    ENV: ({ legacy }) => (legacy ? ['"ENV key=value" should be used instead of legacy "ENV key value" format'] : []),
    LABEL: ({ legacy }) =>
      legacy ? ['"LABEL key=value" should be used instead of legacy "LABEL key value" format'] : [],
  }),
  rule('SecretsUsedInArgOrEnv', 'Sensitive data should not be used in the ARG or ENV commands', {
    ARG: ({ args }) => args.filter(({ name }) => isSecretName(name)).map(({ name }) => sensitive('ARG', name)),
    ENV: ({ keyword, pairs }) =>
      keyword === 'ENV' ? pairs.filter(({ key }) => isSecretName(key)).map(({ key }) => sensitive('ENV', key)) : [],
  }),
  rule('ExposeProtoCasing', 'Protocol in EXPOSE instruction should be lowercase', {
    EXPOSE: ({ words }) =>
      words
        .filter(word => /\/[a-z]*[A-Z]/.test(word))
        .map(word => `Defined protocol '${word}' in EXPOSE instruction should be lowercase`),
  }),
  rule('ExposeInvalidFormat', 'IP address and host-port mapping should not be used in EXPOSE instruction', {
    EXPOSE: ({ words }) =>
      words
        .filter(word => !word.includes('$') && word.includes(':'))
        .map(word => `EXPOSE instruction should not define an IP address or host-port mapping, found '${word}'`),
  }),
]

/** A rule about instructions one by one. */
function rule(name: string, description: string, finders: { readonly [K in Instruction['keyword']]?: Find<K> }): Rule {
  return {
    name,
    description,
    *find({ stages, globalArgs }) {
      for (const instruction of [...globalArgs, ...stages.flatMap(stage => stage.instructions)]) {
        const find = finders[instruction.keyword] as ((one: Instruction) => readonly string[]) | undefined
        for (const message of find?.(instruction) ?? []) yield { message, location: instruction.location }
      }
    },
  }
}

/** A stage that sets SHELL says how it wants its lines run. */
function* shellForms({ stages }: Dockerfile): Generator<Finding> {
  for (const { instructions } of stages) {
    if (instructions.some(({ keyword }) => keyword === 'SHELL')) continue
    for (const one of instructions)
      if ((one.keyword === 'CMD' || one.keyword === 'ENTRYPOINT') && isShell(one.command))
        yield {
          message: `JSON arguments recommended for ${one.keyword} to prevent unintended behavior related to OS signals`,
          location: one.location,
        }
  }
}

function isShell(command: CommandForm): boolean {
  return command.form === 'shell'
}

function* relativeWorkdirs({ stages }: Dockerfile): Generator<Finding> {
  const known = new Set<string>()
  for (const { base, name, instructions } of stages) {
    let isKnown = known.has(base.toLowerCase())
    for (const one of instructions) {
      if (one.keyword !== 'WORKDIR') continue
      const message = `Relative workdir "${one.value}" can have unexpected results if the base image changes`
      if (/^["']?[/$]/.test(one.value)) isKnown = true
      else if (!isKnown) yield { message, location: one.location }
    }
    if (isKnown && name !== undefined) known.add(name)
  }
}

/** All but the last: that one counts. */
function* repeated({ stages }: Dockerfile): Generator<Finding> {
  for (const { instructions } of stages)
    for (const keyword of ['CMD', 'ENTRYPOINT', 'HEALTHCHECK'])
      for (const { location } of instructions.filter(one => one.keyword === keyword).slice(0, -1))
        yield {
          message: `Multiple ${keyword} instructions should not be used in the same stage because only the last one will be used`,
          location,
        }
}

function sensitive(keyword: string, name: string): string {
  return `Do not use ARG or ENV instructions for sensitive data (${keyword} "${name}")`
}
