/** Annotations that a build was asked for, each where it belongs. */
import { invalidArgument } from '#api/errors/errors.ts'
import type { BuildOptions } from '#api/gen/gantry/services/builder/v1/builder.ts'

const levels = ['manifest', 'index', 'manifest-descriptor'] as const
type Level = (typeof levels)[number]

export type Annotations = Readonly<Record<Level, Readonly<Record<string, string>>>>

/** INVALID_ARGUMENT: a level that is none, or Docker's media types, which know no annotations. */
export function annotationsOf({ annotations, dockerMediaTypes }: BuildOptions): Annotations {
  if (dockerMediaTypes && annotations.length > 0)
    throw invalidArgument('annotations need OCI media types: leave the Docker format, or the annotations, out')
  const found: Record<Level, Record<string, string>> = { manifest: {}, index: {}, 'manifest-descriptor': {} }
  for (const { level, key, value } of annotations) {
    if (!isLevel(level)) throw invalidArgument(`annotation "${key}": level "${level}" is none of ${levels.join(', ')}`)
    if (key === '') throw invalidArgument(`an annotation of the ${level} has no key`)
    found[level][key] = value
  }
  return found
}

function isLevel(text: string): text is Level {
  return (levels as readonly string[]).includes(text)
}
