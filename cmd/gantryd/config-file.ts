/** Reads and checks a configuration file. */
import { readFileSync } from 'node:fs'
import { parse, TomlError } from 'smol-toml'
import { type AST, parseTOML } from 'toml-eslint-parser'
import type { z } from 'zod'
import { invalidArgument, messageOf, notFound } from '#api/errors/errors.ts'
import { type Config, type ConfigFlags, configSchema, defaultConfigPath } from './config.ts'

/**
 * The configuration of `path`, with the flags over it. Without a path the default file, which may be missing.
 * INVALID_ARGUMENT: one line per fault, `file:line:column: key: what is wrong`. NOT_FOUND: a named file that is not there.
 */
export function loadConfig(path: string | undefined, flags: ConfigFlags = {}): Config {
  const text = readText(path)
  const config = text === undefined ? configSchema.parse({}) : parseConfig(text, path ?? defaultConfigPath)
  const over = {
    ...(flags.root !== undefined && { root: flags.root }),
    ...(flags.state !== undefined && { state: flags.state }),
    ...(flags.address !== undefined && { address: flags.address }),
    ...(flags.logLevel !== undefined && { log_level: flags.logLevel }),
  }
  return checked(configSchema.safeParse({ ...config, ...over }), issue => `--${flagOf(issue.path)}`)
}

function flagOf(path: readonly PropertyKey[]): string {
  return String(path[0]).replace('_', '-')
}

function readText(path: string | undefined): string | undefined {
  try {
    return readFileSync(path ?? defaultConfigPath, 'utf8')
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== 'ENOENT')
      throw invalidArgument(`configuration file ${path ?? defaultConfigPath}: ${messageOf(cause)}`, { cause })
    if (path !== undefined) throw notFound(`configuration file ${path}`, { cause })
    return undefined
  }
}

/** The text of a file named `path`; INVALID_ARGUMENT as {@link loadConfig}. */
export function parseConfig(text: string, path: string): Config {
  const value = parseText(text, path)
  return checked(configSchema.safeParse(value), issue => {
    const { line, column } = locate(text, keyOf(issue))
    return `${path}:${line}:${column}: ${dotted(keyOf(issue))}`
  })
}

function parseText(text: string, path: string): unknown {
  try {
    return parse(text)
  } catch (cause) {
    if (!(cause instanceof TomlError)) throw cause
    const [what = ''] = cause.message.replace('Invalid TOML document: ', '').split('\n')
    throw invalidArgument(`${path}:${cause.line}:${cause.column}: ${what}`, { cause })
  }
}

type Issue = z.core.$ZodIssue

function checked(result: z.ZodSafeParseResult<Config>, where: (issue: Issue) => string): Config {
  if (result.success) return result.data
  const faults = result.error.issues.map(issue => `${where(issue)}: ${explain(issue)}`)
  throw invalidArgument(faults.join('\n'), { bare: true })
}

/** Of an unknown key, the key itself: the issue's path leads to the table it is in. */
function keyOf(issue: Issue): string[] {
  const unknown = issue.code === 'unrecognized_keys' ? issue.keys.slice(0, 1) : []
  return [...issue.path.map(String), ...unknown]
}

function explain(issue: Issue): string {
  if (issue.code === 'unrecognized_keys') return `unknown key; allowed here: ${allowedAt(issue.path).join(', ')}`
  if (issue.code === 'invalid_value')
    return `must be one of ${issue.values.map(value => JSON.stringify(value)).join(', ')}`
  if (issue.code === 'invalid_type') return `must be of type ${issue.expected}`
  if (issue.code === 'too_small') return `must be at least ${issue.minimum}`
  if (issue.code === 'too_big') return `must be at most ${issue.maximum}`
  return issue.message
}

/** Keys of the table at `path`, read from the defaults, which have them all. */
function allowedAt(path: readonly PropertyKey[]): string[] {
  let table: unknown = configSchema.parse({})
  for (const key of path) table = (table as Record<PropertyKey, unknown>)[key]
  return Object.keys(table as object)
}

function dotted(keys: readonly string[]): string {
  return keys.map(key => (/^[\w-]+$/.test(key) ? key : JSON.stringify(key))).join('.')
}

/** Line and column, both from 1, of the key, or of the closest table around it. */
function locate(text: string, path: readonly string[]): { line: number; column: number } {
  let best = { line: 1, column: 1, depth: 0 }
  for (const { keys, node } of keysOf(parseTOML(text))) {
    const depth = keys.every((key, at) => path[at] === key) ? keys.length : 0
    if (depth > best.depth) best = { line: node.loc.start.line, column: node.loc.start.column + 1, depth }
  }
  return best
}

type Keyed = { keys: string[]; node: AST.TOMLNode }

function keysOf(program: AST.TOMLProgram): Keyed[] {
  return program.body[0].body.flatMap(node => {
    if (node.type === 'TOMLKeyValue') return keyValues([], node)
    const table = node.resolvedKey.map(String)
    return [{ keys: table, node: node.key }, ...node.body.flatMap(pair => keyValues(table, pair))]
  })
}

function keyValues(table: string[], pair: AST.TOMLKeyValue): Keyed[] {
  const names = pair.key.keys.map(key => (key.type === 'TOMLBare' ? key.name : key.value))
  const keys = [...table, ...names]
  const inner = pair.value.type === 'TOMLInlineTable' ? pair.value.body.flatMap(entry => keyValues(keys, entry)) : []
  return [{ keys, node: pair.key }, ...inner]
}
