/** One logical line to one instruction. */
import type { CommandForm, Instruction, KeyValue } from './dockerfile.ts'
import { type Flags, type FlagTypes, readFlags, similar } from './flags.ts'
import { heredocOf } from './heredoc.ts'
import { DockerfileError } from './location.ts'
import type { LogicalLine } from './logical-lines.ts'
import { splitFirst, splitWords } from './words.ts'

export interface ReadContext {
  readonly file: string
  readonly lines: readonly string[]
  readonly escapeChar: string
}

/** What FROM says; the rest of a stage is gathered by `parse.ts`. */
export interface FromLine {
  readonly keyword: 'FROM'
  readonly base: string
  readonly name: string | undefined
  readonly platform: string | undefined
  readonly location: LogicalLine['location']
  readonly text: string
}

/** INVALID_ARGUMENT, showing the place, for a line that is no instruction. */
export function readInstruction(line: LogicalLine, context: ReadContext): Instruction | FromLine {
  const [word, rest] = splitFirst(line.text)
  const keyword = word.toUpperCase()
  const read = readers[keyword]
  const source = new Source(line, context, keyword, rest)
  if (read === undefined) throw source.error(`unknown instruction: ${word}${similar(word, Object.keys(readers))}`, word)
  return read(source)
}

/** A line on its way to an instruction: the text after the keyword, and the errors it may have. */
class Source {
  readonly line: LogicalLine
  readonly keyword: string
  readonly escapeChar: string
  #rest: string
  readonly context: ReadContext

  constructor(line: LogicalLine, context: ReadContext, keyword: string, rest: string) {
    this.line = line
    this.keyword = keyword
    this.escapeChar = context.escapeChar
    this.context = context
    this.#rest = rest
  }

  get base() {
    return { location: this.line.location, text: this.line.text }
  }

  /** Takes the flags off; without types the instruction has none. */
  flags(types: FlagTypes = {}): Flags {
    const { flags, rest } = readFlags(this.#rest, types, this.escapeChar, (problem, word) => this.error(problem, word))
    this.#rest = rest
    return flags
  }

  /** What is left. INVALID_ARGUMENT when that is nothing. */
  rest(): string {
    const rest = this.#rest.trim()
    if (rest === '') throw this.error(`${this.keyword} requires at least one argument`)
    return rest
  }

  words(): string[] {
    return splitWords(this.rest(), this.escapeChar)
  }

  /** The strings of a JSON array; undefined when the rest is none. */
  json(): string[] | undefined {
    const rest = this.#rest.trim()
    if (!rest.startsWith('[')) return undefined
    try {
      const value: unknown = JSON.parse(rest)
      return Array.isArray(value) && value.every(item => typeof item === 'string') ? value : undefined
    } catch {
      return undefined
    }
  }

  command(): CommandForm {
    const args = this.json()
    return args === undefined
      ? { form: 'shell', line: this.rest(), heredocs: this.line.heredocs }
      : { form: 'exec', args }
  }

  error(problem: string, word?: string): DockerfileError {
    const { file, lines } = this.context
    const place = { file, lines, location: this.line.location }
    return new DockerfileError(problem, word === undefined ? place : { ...place, word })
  }
}

type Reader = (source: Source) => Instruction | FromLine

const copyFlags: FlagTypes = {
  from: 'value',
  chown: 'value',
  chmod: 'value',
  link: 'boolean',
  parents: 'boolean',
  exclude: 'list',
}
const addFlags: FlagTypes = {
  ...{ chown: 'value', chmod: 'value', link: 'boolean', exclude: 'list' },
  ...{ checksum: 'value', 'keep-git-dir': 'boolean', unpack: 'boolean' },
}

const readers: Readonly<Record<string, Reader>> = {
  FROM: readFrom,
  ARG: readArg,
  ENV: source => readPairs(source, 'ENV'),
  LABEL: source => readPairs(source, 'LABEL'),
  RUN(source) {
    const flags = source.flags({ mount: 'list', network: 'value', security: 'value', device: 'list' })
    const [device] = flags.list('device')
    if (device !== undefined)
      throw source.error('RUN --device is not implemented: a step gets no CDI devices', '--device')
    const [mounts, network, security] = [flags.list('mount'), flags.value('network'), flags.value('security')]
    return { ...source.base, keyword: 'RUN', command: source.command(), mounts, network, security }
  },
  CMD: source => readCommand(source, 'CMD'),
  ENTRYPOINT: source => readCommand(source, 'ENTRYPOINT'),
  SHELL(source) {
    source.flags()
    const shell = source.json()
    if (shell === undefined || shell.length === 0)
      throw source.error(`SHELL requires the arguments to be in JSON form, such as ["/bin/sh", "-c"]`)
    return { ...source.base, keyword: 'SHELL', shell }
  },
  COPY: source => readCopy(source, 'COPY', copyFlags),
  ADD: source => readCopy(source, 'ADD', addFlags),
  EXPOSE(source) {
    source.flags()
    return { ...source.base, keyword: 'EXPOSE', words: source.words() }
  },
  VOLUME(source) {
    source.flags()
    const words = source.json() ?? source.words()
    if (words.some(word => word.trim() === '')) throw source.error('VOLUME specified can not be an empty string')
    return { ...source.base, keyword: 'VOLUME', words }
  },
  WORKDIR: source => readValue(source, 'WORKDIR'),
  USER: source => readValue(source, 'USER'),
  STOPSIGNAL: source => readValue(source, 'STOPSIGNAL'),
  MAINTAINER: source => readValue(source, 'MAINTAINER'),
  HEALTHCHECK: readHealthcheck,
  ONBUILD: readOnbuild,
}

function readFrom(source: Source): FromLine {
  const platform = source.flags({ platform: 'value' }).value('platform')
  const [base = '', as, name, ...more] = source.words()
  const named = as !== undefined
  if (more.length > 0 || (named && (as.toLowerCase() !== 'as' || name === undefined)))
    throw source.error('FROM requires either one or three arguments')
  const stage = name?.toLowerCase()
  if (stage !== undefined && !/^[a-z][a-z0-9_.-]*$/.test(stage))
    throw source.error(
      `invalid name for build stage: "${name}", name can't start with a number or contain symbols`,
      name,
    )
  return { ...source.base, keyword: 'FROM', base, name: stage, platform }
}

function readArg(source: Source): Instruction {
  source.flags()
  const args = source.words().map(word => {
    const [, name = '', value] = /^([^=]*)(?:=([\s\S]*))?$/.exec(word) ?? []
    if (name === '') throw source.error(`ARG names can not be blank: ${word}`, word)
    return { name, value }
  })
  return { ...source.base, keyword: 'ARG', args }
}

function readPairs(source: Source, keyword: 'ENV' | 'LABEL'): Instruction {
  source.flags()
  const words = source.words()
  if (!(words[0] as string).includes('=')) {
    const [key, value] = splitFirst(source.rest())
    if (value === '') throw source.error(`${keyword} must have two arguments`)
    return { ...source.base, keyword, pairs: [{ key, value }], legacy: true }
  }
  const pairs = words.map((word): KeyValue => {
    const at = word.indexOf('=')
    if (at < 0) throw source.error(`Syntax error - can't find = in "${word}". Must be of the form: name=value`, word)
    if (at === 0) throw source.error(`${keyword} names can not be blank`, word)
    return { key: word.slice(0, at), value: word.slice(at + 1) }
  })
  return { ...source.base, keyword, pairs, legacy: false }
}

function readCommand(source: Source, keyword: 'CMD' | 'ENTRYPOINT'): Instruction {
  source.flags()
  return { ...source.base, keyword, command: source.command() }
}

function readCopy(source: Source, keyword: 'COPY' | 'ADD', types: FlagTypes): Instruction {
  const flags = source.flags(types)
  const words = source.json() ?? source.words()
  const destination = words.at(-1)
  if (words.length < 2 || destination === undefined)
    throw source.error(
      `${keyword} requires at least two arguments, but only one was provided. Destination could not be determined`,
    )
  const isHeredoc = (word: string) => heredocOf(word, source.escapeChar) !== undefined
  if (isHeredoc(destination)) throw source.error(`${keyword} cannot accept a heredoc as a destination`, destination)
  return {
    ...source.base,
    keyword,
    destination,
    sources: words.slice(0, -1).filter(word => !isHeredoc(word)),
    heredocs: source.line.heredocs,
    from: flags.value('from'),
    chown: flags.value('chown'),
    chmod: flags.value('chmod'),
    link: flags.boolean('link') ?? false,
    parents: flags.boolean('parents') ?? false,
    exclude: flags.list('exclude'),
    checksum: flags.value('checksum'),
    keepGitDir: flags.boolean('keep-git-dir'),
    unpack: flags.boolean('unpack'),
  }
}

function readValue(source: Source, keyword: 'WORKDIR' | 'USER' | 'STOPSIGNAL' | 'MAINTAINER'): Instruction {
  source.flags()
  const value = source.rest()
  if (keyword === 'STOPSIGNAL' && splitWords(value, source.escapeChar).length > 1)
    throw source.error('STOPSIGNAL requires exactly one argument')
  return { ...source.base, keyword, value }
}

const healthcheckFlags: FlagTypes = {
  ...{ interval: 'value', timeout: 'value', 'start-period': 'value', 'start-interval': 'value', retries: 'value' },
}

function readHealthcheck(source: Source): Instruction {
  const flags = source.flags(healthcheckFlags)
  const [kind, rest] = splitFirst(source.rest())
  const times = {
    interval: flags.value('interval'),
    timeout: flags.value('timeout'),
    startPeriod: flags.value('start-period'),
    startInterval: flags.value('start-interval'),
    retries: flags.value('retries'),
  }
  if (kind.toUpperCase() === 'NONE') {
    if (rest !== '') throw source.error('HEALTHCHECK NONE takes no arguments', rest)
    return { ...source.base, keyword: 'HEALTHCHECK', command: undefined, ...times }
  }
  if (kind.toUpperCase() !== 'CMD') throw source.error(`Unknown type "${kind}" in HEALTHCHECK (try CMD)`, kind)
  if (rest === '') throw source.error('Missing command after HEALTHCHECK CMD')
  if (times.retries !== undefined && !/^\d+$/.test(times.retries))
    throw source.error(`--retries must be a number, not "${times.retries}"`, times.retries)
  const command = new Source(source.line, source.context, 'HEALTHCHECK CMD', rest).command()
  return { ...source.base, keyword: 'HEALTHCHECK', command, ...times }
}

function readOnbuild(source: Source): Instruction {
  source.flags()
  const trigger = source.rest()
  const [word] = splitFirst(trigger)
  const keyword = word.toUpperCase()
  if (keyword === 'ONBUILD') throw source.error("Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed")
  if (keyword === 'FROM' || keyword === 'MAINTAINER')
    throw source.error(`${keyword} isn't allowed as an ONBUILD trigger`, word)
  // Read for its errors; the image keeps the text.
  readInstruction({ ...source.line, text: trigger }, source.context)
  const bodies = source.line.heredocs.map(({ content, name }) => `\n${content}${name}`)
  return { ...source.base, keyword: 'ONBUILD', trigger: trigger + bodies.join('') }
}
