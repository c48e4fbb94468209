/**
 * `docker import --change` and `docker commit --change`: Dockerfile instructions that only touch the configuration
 * (Dockerfile reference of the Docker documentation). One line each; no variables, no continuation lines.
 */
import type { ImageHealthcheck, ImageRuntimeConfig } from '../engine/images.ts'
import { badRequest } from '../http/http-error.ts'

type Mutable = { -readonly [K in keyof ImageRuntimeConfig]: ImageRuntimeConfig[K] }
type Instruction = (config: Mutable, text: string) => void

const defaultShell = ['/bin/sh', '-c']

const instructions: Record<string, Instruction> = {
  CMD: (config, text) => (config.Cmd = command(config, text)),
  ENTRYPOINT(config, text) {
    config.Entrypoint = command(config, text)
    // As in a Dockerfile: a command of the image below was meant for another entrypoint.
    if (config.Entrypoint !== null) config.Cmd = null
  },
  ENV(config, text) {
    for (const [key, value] of pairs('ENV', text)) config.Env = withVariable(config.Env ?? [], key, value)
  },
  EXPOSE(config, text) {
    const ports = words(text).map(port => [/\/(tcp|udp|sctp)$/i.test(port) ? port.toLowerCase() : `${port}/tcp`, {}])
    config.ExposedPorts = { ...config.ExposedPorts, ...Object.fromEntries(ports) }
  },
  HEALTHCHECK: (config, text) => (config.Healthcheck = healthcheck(text)),
  LABEL: (config, text) => (config.Labels = { ...config.Labels, ...Object.fromEntries(pairs('LABEL', text)) }),
  ONBUILD: (config, text) => (config.OnBuild = [...(config.OnBuild ?? []), text]),
  STOPSIGNAL: (config, text) => (config.StopSignal = text),
  USER: (config, text) => (config.User = text),
  VOLUME(config, text) {
    const paths = (jsonList(text) ?? words(text)).map(path => [path, {}])
    config.Volumes = { ...config.Volumes, ...Object.fromEntries(paths) }
  },
  WORKDIR: (config, text) => (config.WorkingDir = text.startsWith('/') ? text : joined(config.WorkingDir ?? '', text)),
}

/** A changed copy. 400 names the instruction that is unknown or malformed. */
export function changedConfig(config: ImageRuntimeConfig, changes: readonly string[]): ImageRuntimeConfig {
  const copy: Mutable = structuredClone(config)
  for (const line of changes.flatMap(change => change.split('\n')).filter(text => text.trim() !== '')) {
    const [, name = '', text = ''] = /^\s*(\S+)\s*(.*?)\s*$/.exec(line) ?? []
    const apply = instructions[name.toUpperCase()]
    if (apply === undefined) throw badRequest(`${name} is not a valid change command`)
    if (text === '') throw badRequest(`${name.toUpperCase()} requires at least one argument`)
    apply(copy, text)
  }
  return copy
}

/** Exec form as it is, shell form through the shell. */
function command(config: ImageRuntimeConfig, text: string): string[] {
  return jsonList(text) ?? [...(config.Shell ?? defaultShell), text]
}

function jsonList(text: string): string[] | undefined {
  if (!text.startsWith('[')) return undefined
  try {
    const value: unknown = JSON.parse(text)
    return Array.isArray(value) && value.every(word => typeof word === 'string') ? value : undefined
  } catch {
    return undefined
  }
}

/** `k=v "k2"="v w"`, or of old `k rest of the line`. */
function pairs(instruction: string, text: string): [string, string][] {
  const all = words(text)
  if (all.some(word => word.includes('='))) {
    const wrong = all.find(word => !word.includes('='))
    if (wrong !== undefined)
      throw badRequest(`Syntax error - can't find = in ${JSON.stringify(wrong)}. Must be of the form: name=value`)
    return all.map(word => [word.slice(0, word.indexOf('=')), word.slice(word.indexOf('=') + 1)])
  }
  const [, key = '', value] = /^(\S+)\s+(.*)$/.exec(text) ?? []
  if (value === undefined) throw badRequest(`${instruction} must have two arguments`)
  return [[key, value]]
}

function withVariable(env: readonly string[], key: string, value: string): string[] {
  const at = env.findIndex(entry => entry.startsWith(`${key}=`))
  return at < 0 ? [...env, `${key}=${value}`] : env.with(at, `${key}=${value}`)
}

/** Words as a shell cuts them: quotes keep spaces, a backslash the next character. */
function words(text: string): string[] {
  const found: string[] = []
  let word: string | undefined
  let quote = ''
  for (let i = 0; i < text.length; i++) {
    const char = text[i] ?? ''
    if (char === '\\' && quote !== "'" && i + 1 < text.length) word = (word ?? '') + (text[++i] ?? '')
    else if (quote !== '') {
      if (char === quote) quote = ''
      else word = (word ?? '') + char
    } else if (char === '"' || char === "'") {
      quote = char
      word ??= ''
    } else if (/\s/.test(char)) {
      if (word !== undefined) found.push(word)
      word = undefined
    } else word = (word ?? '') + char
  }
  return word === undefined ? found : [...found, word]
}

const healthFlags = {
  interval: 'Interval',
  timeout: 'Timeout',
  'start-period': 'StartPeriod',
  'start-interval': 'StartInterval',
} as const

function healthcheck(text: string): ImageHealthcheck {
  if (/^NONE$/i.test(text)) return { Test: ['NONE'] }
  const check: ImageHealthcheck = {}
  let rest = text
  for (let flag = nextFlag(rest); flag; flag = nextFlag(rest)) {
    if (flag.name === 'retries') check.Retries = Number(flag.value)
    else if (flag.name in healthFlags)
      check[healthFlags[flag.name as keyof typeof healthFlags]] = durationNanos(flag.name, flag.value)
    else throw badRequest(`HEALTHCHECK: unknown flag: ${flag.name}`)
    rest = flag.rest
  }
  const [, kind = '', argument = ''] = /^(\S+)\s+(.*)$/.exec(rest) ?? []
  if (kind.toUpperCase() !== 'CMD') throw badRequest(`Unknown type ${JSON.stringify(kind)} in HEALTHCHECK (try CMD)`)
  const exec = jsonList(argument)
  return { Test: exec ? ['CMD', ...exec] : ['CMD-SHELL', argument], ...check }
}

function nextFlag(text: string): { name: string; value: string; rest: string } | undefined {
  const [, name, value = '', rest = ''] = /^--([\w-]+)=(\S+)\s*(.*)$/.exec(text) ?? []
  return name === undefined ? undefined : { name, value, rest }
}

const unitNanos: Record<string, number> = { ns: 1, us: 1e3, ms: 1e6, s: 1e9, m: 60e9, h: 3600e9 }

function durationNanos(name: string, text: string): number {
  const parts = [...text.matchAll(/(\d+(?:\.\d+)?)(ns|us|ms|s|m|h)/g)]
  if (parts.length === 0 || parts.map(part => part[0]).join('') !== text)
    throw badRequest(`HEALTHCHECK: ${name}: time: invalid duration ${JSON.stringify(text)}`)
  return parts.reduce((sum, [, amount, unit]) => sum + Number(amount) * (unitNanos[unit ?? ''] ?? 0), 0)
}

function joined(base: string, path: string): string {
  return `${base === '' ? '' : base.replace(/\/$/, '')}/${path}`
}
