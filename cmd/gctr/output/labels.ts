/** `K=V` words. */
import { invalidArgument } from '#api/errors/errors.ts'

/** INVALID_ARGUMENT names the flag and the word that has no `=`. */
export function parsePairs(words: readonly string[], flag: string): Record<string, string> {
  return Object.fromEntries(words.map(word => splitPair(word, flag)))
}

/** At the first `=`. */
export function splitPair(word: string, flag: string): [string, string] {
  const at = word.indexOf('=')
  if (at <= 0) throw invalidArgument(`${flag} "${word}" is not of the form KEY=VALUE`)
  return [word.slice(0, at), word.slice(at + 1)]
}

/** `a=1,b=2`, in order of the keys. */
export function formatLabels(labels: Readonly<Record<string, string>>): string {
  return Object.entries(labels)
    .toSorted(([a], [b]) => a.localeCompare(b))
    .map(([key, value]) => `${key}=${value}`)
    .join(',')
}
