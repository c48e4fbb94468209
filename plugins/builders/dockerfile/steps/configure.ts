/** Instructions that change what an image says and not what it holds. */
import { posix } from 'node:path'
import { invalidArgument } from '#api/errors/errors.ts'
import { parseDuration } from '../image/durations.ts'
import { quotedHealthcheck, quotedList } from '../image/go-quoting.ts'
import type { Healthcheck } from '../image/image-config.ts'
import type {
  CommandForm,
  CopyInstruction,
  HealthcheckInstruction,
  Instruction,
  RunInstruction,
} from '../language/dockerfile.ts'
import { expandWord, expandWords } from '../language/expand.ts'
import { defaultShell, lookupIn, runConfig, type StageState, withConfig, withVariable } from '../solve/stage-state.ts'

export interface ConfigureContext {
  readonly escapeChar: string
  /** `--build-arg`s, and the platform's arguments. */
  readonly buildArgs: ReadonlyMap<string, string>
  /** Values of ARGs before the first FROM, for stages that declare them again. */
  readonly globalArgs: ReadonlyMap<string, string>
}

export type ConfigureInstruction = Exclude<Instruction, RunInstruction | CopyInstruction>

/** What Docker's history shows as the command of such a step, its words expanded. */
export interface Configured {
  readonly state: StageState
  readonly historyText: string
}

/** The state after the instruction. INVALID_ARGUMENT for values that cannot be. */
export function configure(state: StageState, instruction: ConfigureInstruction, context: ConfigureContext): Configured {
  const expand = (word: string) => expandWord(word, { escapeChar: context.escapeChar, lookup: lookupIn(state) })
  const config = runConfig(state)
  const done = (changes: Parameters<typeof withConfig>[1], text: string) => ({
    state: withConfig(state, changes),
    historyText: `${instruction.keyword} ${text}`,
  })
  switch (instruction.keyword) {
    case 'ENV':
    case 'LABEL':
      return pairs(state, instruction.keyword, instruction.pairs, expand)
    case 'ARG':
      return declare(state, instruction.args, context, expand)
    case 'EXPOSE': {
      const lookup = { escapeChar: context.escapeChar, lookup: lookupIn(state) }
      const words = instruction.words.toSorted().flatMap(word => expandWords(word, lookup))
      const added = Object.fromEntries(words.flatMap(portsOf).map(port => [port, {}]))
      return done({ ExposedPorts: { ...config.ExposedPorts, ...added } }, words.join(' '))
    }
    case 'VOLUME': {
      const volumes = instruction.words.map(expand)
      const added = Object.fromEntries(volumes.map(path => [path, {}]))
      return done({ Volumes: { ...config.Volumes, ...added } }, `[${volumes.join(' ')}]`)
    }
    case 'WORKDIR': {
      const WorkingDir = posix.resolve('/', config.WorkingDir ?? '', expand(instruction.value))
      return done({ WorkingDir }, WorkingDir)
    }
    case 'USER': {
      const user = expand(instruction.value)
      return done({ User: user }, user)
    }
    case 'STOPSIGNAL': {
      const signal = expand(instruction.value)
      if (!/^(?:SIG)?[A-Z][A-Z0-9+-]*$|^\d+$/i.test(signal)) throw invalidArgument(`invalid signal: ${signal}`)
      return done({ StopSignal: signal }, signal)
    }
    case 'MAINTAINER': {
      const author = instruction.value
      return { state: { ...state, image: { ...state.image, author } }, historyText: `MAINTAINER ${author}` }
    }
    case 'SHELL':
      return done({ Shell: [...instruction.shell] }, `[${instruction.shell.join(' ')}]`)
    case 'CMD': {
      const Cmd = commandLine(state, instruction.command)
      const { state: next, historyText } = done({ Cmd }, quotedList(Cmd))
      return { state: { ...next, hasOwnCommand: true }, historyText }
    }
    case 'ENTRYPOINT': {
      const Entrypoint = commandLine(state, instruction.command)
      // A base's CMD are arguments for the base's entry point.
      return done({ Entrypoint, ...(state.hasOwnCommand ? {} : { Cmd: undefined }) }, quotedList(Entrypoint))
    }
    case 'HEALTHCHECK': {
      const Healthcheck = healthcheck(instruction)
      return done({ Healthcheck }, quotedHealthcheck(Healthcheck))
    }
    case 'ONBUILD':
      return done({ OnBuild: [...(config.OnBuild ?? []), instruction.trigger] }, instruction.trigger)
  }
}

/** A command as an image keeps it: the shell form with the shell before it. */
export function commandLine(state: StageState, command: CommandForm): string[] {
  if (command.form === 'exec') return [...command.args]
  return [...(runConfig(state).Shell ?? defaultShell), command.line]
}

function pairs(
  state: StageState,
  keyword: 'ENV' | 'LABEL',
  written: readonly { key: string; value: string }[],
  expand: (word: string) => string,
): Configured {
  const read = written.map(({ key, value }) => ({ key: expand(key), value: expand(value) }))
  const historyText = `${keyword} ${read.map(({ key, value }) => `${key}=${value}`).join(' ')}`
  const config = runConfig(state)
  if (keyword === 'LABEL') {
    const added = Object.fromEntries(read.map(({ key, value }) => [key, value]))
    return { state: withConfig(state, { Labels: { ...config.Labels, ...added } }), historyText }
  }
  const Env = read.reduce((env, { key, value }) => withVariable(env, key, value), config.Env ?? [])
  return { state: withConfig(state, { Env }), historyText }
}

/** An ARG's value: `--build-arg`, else its own default, else what the same name had before the first FROM. */
function declare(
  state: StageState,
  declared: readonly { name: string; value: string | undefined }[],
  { buildArgs, globalArgs }: ConfigureContext,
  expand: (word: string) => string,
): Configured {
  const args = new Map(state.args)
  const texts = declared.map(({ name, value }) => {
    const own = value === undefined ? undefined : expand(value)
    const chosen = buildArgs.get(name) ?? own ?? globalArgs.get(name)
    if (chosen !== undefined) args.set(name, chosen)
    return own === undefined ? name : `${name}=${own}`
  })
  return { state: { ...state, args }, historyText: `ARG ${texts.join(' ')}` }
}

/** `80`, `80/udp`, `8000-8002/tcp`: each port with its protocol. */
function portsOf(text: string): string[] {
  const [, from, to, protocol = 'tcp'] = /^(\d+)(?:-(\d+))?(?:\/(\w+))?$/.exec(text.split(':').at(-1) ?? '') ?? []
  const [first, last] = [Number(from), Number(to ?? from)]
  const known = ['tcp', 'udp', 'sctp'].includes(protocol.toLowerCase())
  if (from === undefined || !known || last < first || last > 65_535)
    throw invalidArgument(`invalid containerPort: ${text}: EXPOSE takes PORT[-PORT][/tcp|udp|sctp]`)
  return Array.from({ length: last - first + 1 }, (_, at) => `${first + at}/${protocol.toLowerCase()}`)
}

function healthcheck(instruction: HealthcheckInstruction): Healthcheck {
  const { command } = instruction
  if (command === undefined) return { Test: ['NONE'] } as Healthcheck
  const Test = command.form === 'exec' ? ['CMD', ...command.args] : ['CMD-SHELL', command.line]
  const time = (text: string | undefined) => (text === undefined ? undefined : parseDuration(text))
  const all = {
    Test,
    Interval: time(instruction.interval),
    Timeout: time(instruction.timeout),
    StartPeriod: time(instruction.startPeriod),
    StartInterval: time(instruction.startInterval),
    Retries: instruction.retries === undefined ? undefined : Number(instruction.retries),
  }
  return Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined)) as Healthcheck
}
