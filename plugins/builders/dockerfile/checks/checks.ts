/**
 * Build checks: what a Dockerfile says that works and that its author may not have meant. The rules and their names
 * are Docker's (https://docs.docker.com/reference/build-checks/), so `# check=skip=…` of existing files means the same.
 */
import { invalidArgument } from '#api/errors/errors.ts'
import type { Dockerfile } from '../language/dockerfile.ts'
import type { Location } from '../language/location.ts'
import { casingRules } from './casing.ts'
import { instructionRules } from './instructions.ts'
import { stageRules } from './stages.ts'

export interface Finding {
  readonly message: string
  readonly location: Location
}

export interface Rule {
  readonly name: string
  /** The rule in a sentence. */
  readonly description: string
  find(dockerfile: Dockerfile): Iterable<Finding>
}

export interface CheckWarning extends Finding {
  readonly rule: string
  readonly description: string
}

/** Found while a build runs, when the base image's variables are known. */
export const undefinedVariable = {
  name: 'UndefinedVar',
  description: 'Variables should be defined before their use',
} as const

/** Found while a build runs, when the context is known; only where the file asks for it. */
export const copyIgnoredFile = {
  name: 'CopyIgnoredFile',
  description: 'Attempting to Copy file that is excluded by .dockerignore',
} as const

const rules: readonly Rule[] = [...casingRules, ...stageRules, ...instructionRules]

/** What the file's `# check=` directive says, and options of the build may say besides. */
export class CheckSettings {
  readonly #skipped: ReadonlySet<string>
  readonly #skipsAll: boolean
  /** Rules that are told only where they are asked for. */
  readonly #experimental: readonly string[]
  /** A warning fails the build. */
  readonly isError: boolean

  /** INVALID_ARGUMENT for a setting that is none. */
  constructor(directive = '') {
    const settings = directive.split(';').filter(part => part.trim() !== '')
    const pairs = new Map(
      settings.map(part => {
        const [key = '', value = ''] = part.split('=', 2).map(text => text.trim())
        if (key !== 'skip' && key !== 'error' && key !== 'experimental')
          throw invalidArgument(`check directive "${directive}": "${key}" is none of skip, error and experimental`)
        return [key, value] as const
      }),
    )
    const listed = (key: 'skip' | 'experimental') =>
      (pairs.get(key) ?? '').split(',').map(name => name.trim().toLowerCase())
    const names = listed('skip')
    this.#experimental = listed('experimental')
    this.#skipped = new Set(names)
    this.#skipsAll = names.includes('all')
    this.isError = pairs.get('error') === 'true'
  }

  wants(rule: string): boolean {
    return !this.#skipsAll && !this.#skipped.has(rule.toLowerCase())
  }

  /** The same for a rule that is experimental. */
  asksFor(rule: string): boolean {
    const isNamed = this.#experimental.includes('all') || this.#experimental.includes(rule.toLowerCase())
    return isNamed && this.wants(rule)
  }
}

/** Warnings in the order of their lines. */
export function check(dockerfile: Dockerfile): CheckWarning[] {
  const settings = new CheckSettings(dockerfile.directives.check)
  const found = rules
    .filter(({ name }) => settings.wants(name))
    .flatMap(({ name, description, find }) =>
      [...find(dockerfile)].map(finding => ({ ...finding, rule: name, description })),
    )
  return found.toSorted((a, b) => a.location.startLine - b.location.startLine)
}
