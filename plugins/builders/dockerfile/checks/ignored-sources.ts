/** The check that needs the context: what COPY and ADD name and `.dockerignore` leaves out. */
import { posix } from 'node:path'
import type { Ignore } from '../files/ignore.ts'
import type { CopyInstruction } from '../language/dockerfile.ts'

/** A message for each source. `expand` replaces the variables of a word. */
export function ignoredSources(
  { from, sources }: CopyInstruction,
  ignore: Ignore | undefined,
  expand: (word: string) => string,
): string[] {
  if (from !== undefined || ignore === undefined) return []
  const named = sources.map(expand).filter(source => !source.includes('://'))
  const ignored = named.filter(source => {
    const path = posix.resolve('/', source).slice(1)
    return path !== '' && ignore(path)
  })
  return ignored.map(source => `Attempting to Copy file "${source}" that is excluded by .dockerignore`)
}
