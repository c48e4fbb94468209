/** Secrets stay out of what is published, wherever they turn up in it. */
import type { BuildOptions } from '#api/gen/gantry/services/builder/v1/builder.ts'
import { isSecretName } from '../checks/secret-names.ts'

const hidden = '[redacted]'
/** Shorter values would blacken half of every text. */
const shortest = 4

/** The value of a build argument, unless its name says that it is a secret one. */
export function publicArgument(name: string, value: string): string {
  return isSecretName(name) ? hidden : value
}

/** The document without the secrets that were handed to the build, and without the values of arguments that are secret. */
export function redacted<T>(document: T, { secrets, args }: Pick<BuildOptions, 'secrets' | 'args'>): T {
  const fromArgs = Object.entries(args).flatMap(([name, value]) => (isSecretName(name) ? [value] : []))
  const known = [...Object.values(secrets).map(value => Buffer.from(value).toString().trim()), ...fromArgs]
  // The longest first: one may be a part of another.
  const values = known.filter(value => value.length >= shortest).toSorted((a, b) => b.length - a.length)
  const clean = (text: string) => values.reduce((shown, value) => shown.replaceAll(value, hidden), text)
  return JSON.parse(
    JSON.stringify(document, (_, value: unknown) => (typeof value === 'string' ? clean(value) : value)),
  ) as T
}
