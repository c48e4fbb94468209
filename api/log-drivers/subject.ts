/** What the messages of a log driver say of the container. */
import { messageOf } from '#api/errors/errors.ts'
import { type LogOptions, refused } from './option-values.ts'
import { expandTag } from './tag.ts'

export interface LogSubject {
  id: string
  name: string
  /** As the user wrote it. */
  imageName: string
  imageId: string
  labels: Readonly<Record<string, string>>
  /** "K=V" */
  env: readonly string[]
}

/** What Docker's drivers call a container when no tag is given. */
const defaultTag = '{{.ID}}'

/** INVALID_ARGUMENT: the template is none. */
export function tagOf(options: LogOptions, subject: LogSubject): string {
  return expandTag(options.tag || defaultTag, subject)
}

/** Values of the labels and variables that `labels`, `labels-regex`, `env` and `env-regex` choose. INVALID_ARGUMENT: an expression is none. */
export function extraAttributes(options: LogOptions, { labels, env }: LogSubject): Record<string, string> {
  const variables = env.map(entry => {
    const at = entry.indexOf('=')
    return at < 0 ? ([entry, ''] as const) : ([entry.slice(0, at), entry.slice(at + 1)] as const)
  })
  return {
    ...chosen(Object.entries(labels), options.labels, options['labels-regex']),
    ...chosen(variables, options.env, options['env-regex']),
  }
}

function expression(pattern: string): RegExp {
  try {
    return new RegExp(pattern)
  } catch (error) {
    throw refused(`error parsing regexp "${pattern}": ${messageOf(error)}`)
  }
}

function chosen(
  entries: readonly (readonly [string, string])[],
  names: string | undefined,
  pattern: string | undefined,
): Record<string, string> {
  const listed = new Set((names ?? '').split(',').filter(Boolean))
  const matching = pattern ? expression(pattern) : undefined
  return Object.fromEntries(entries.filter(([key]) => listed.has(key) || matching?.test(key)))
}
