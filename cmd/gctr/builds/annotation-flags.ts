/** `--annotation [LEVEL[,LEVEL]:]KEY=VALUE`, in the words of `docker buildx build`. */
import { invalidArgument } from '#api/errors/errors.ts'
import type { Annotation } from '#api/gen/gantry/services/builder/v1/builder.ts'

/** Buildx's name for a level, or a platform in brackets behind it, which we have no use for. */
const prefix =
  /^((?:manifest-descriptor|index-descriptor|manifest|index)(?:,(?:manifest-descriptor|index-descriptor|manifest|index))*):/

/** Without level: the manifest. INVALID_ARGUMENT: no key, no value, or a level that a build has no place for. */
export function annotationsOf(texts: readonly string[]): Annotation[] {
  return texts.flatMap(text => {
    const levels = prefix.exec(text)?.[1]?.split(',') ?? ['manifest']
    const pair = text.replace(prefix, '')
    const at = pair.indexOf('=')
    if (at < 1) throw invalidArgument(`--annotation "${text}" is not [LEVEL:]KEY=VALUE`)
    return levels.map(level => ({ level: known(level, text), key: pair.slice(0, at), value: pair.slice(at + 1) }))
  })
}

function known(level: string, text: string): string {
  if (level === 'index-descriptor')
    throw invalidArgument(`--annotation "${text}": only an OCI layout has a descriptor of the index; use index`)
  return level
}
