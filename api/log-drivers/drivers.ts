/**
 * The log drivers, by Docker's names: which there are, which options each takes, and which carry lines elsewhere.
 *
 * The shim keeps the log of every container but those of `none`. A driver that *forwards* hands on what is in it: the
 * file is its buffer, and what `docker logs` shows.
 */
import { fluentdOptionNames, parseFluentdOptions } from './fluentd-options.ts'
import { gelfOptionNames, parseGelfOptions } from './gelf-options.ts'
import { type LogOptions, parseFlag, parseSize, refused } from './option-values.ts'
import { extraAttributes, type LogSubject, tagOf } from './subject.ts'
import { parseSyslogOptions, syslogOptionNames } from './syslog-options.ts'

interface DriverTraits {
  readonly forwards: boolean
  readonly options: readonly string[]
  /** INVALID_ARGUMENT in Docker's words. */
  check?(options: LogOptions): void
}

const chosenAttributes = ['labels', 'labels-regex', 'env', 'env-regex', 'tag']

const traits: Readonly<Record<string, DriverTraits>> = {
  'json-file': { forwards: false, options: ['max-size', 'max-file', 'compress', ...chosenAttributes] },
  local: { forwards: false, options: ['max-size', 'max-file', 'compress'] },
  none: { forwards: false, options: [] },
  syslog: {
    forwards: true,
    options: [...syslogOptionNames, ...chosenAttributes],
    check: parseSyslogOptions,
  },
  gelf: { forwards: true, options: [...gelfOptionNames, ...chosenAttributes], check: parseGelfOptions },
  fluentd: { forwards: true, options: [...fluentdOptionNames, ...chosenAttributes], check: parseFluentdOptions },
  journald: { forwards: true, options: chosenAttributes },
}

/** Those of any driver. */
const commonOptions = ['mode', 'max-buffer-size']
/** Those of a driver that forwards: of the file. */
const cacheOptions = ['cache-disabled', 'cache-max-size', 'cache-max-file', 'cache-compress']
/** Of the file of a driver that forwards, and of the `local` driver, when nothing is said. */
export const cacheLimits = { maxSizeBytes: 20n * 1024n * 1024n, maxFiles: 5 }
const defaultBufferBytes = 1024 * 1024

export const builtInLogDrivers: readonly string[] = Object.keys(traits)

/** Also a driver that is nobody's but a plugin's. */
export function forwards(driver: string): boolean {
  return driver !== '' && (traits[driver]?.forwards ?? true)
}

/** INVALID_ARGUMENT in Docker's words; options of a driver that a plugin has are the plugin's affair. */
export function checkLogOptions(driver: string, options: LogOptions): void {
  if (driver === 'none') return
  checkMode(options)
  checkCache(options)
  const known = traits[driver || 'json-file']
  if (!known) return
  known.check?.(options)
  const names = [...known.options, ...commonOptions, ...(known.forwards ? cacheOptions : [])]
  const unknown = Object.keys(options).find(name => !names.includes(name))
  if (unknown === undefined) return
  throw refused(
    driver === 'local'
      ? `unknown log opt '${unknown}' for log driver local`
      : `unknown log opt '${unknown}' for ${driver || 'json-file'} log driver`,
  )
}

/** Bytes that may wait with `mode=non-blocking`; undefined: output waits. */
export function bufferBytes(options: LogOptions): number | undefined {
  if (options.mode !== 'non-blocking') return undefined
  return options['max-buffer-size'] === undefined ? defaultBufferBytes : parseSize(options['max-buffer-size'])
}

/** Whether anything is kept beside each line. */
export function namesAttributes(options: LogOptions): boolean {
  return chosenAttributes.some(name => options[name])
}

/**
 * What is kept beside each line of the file; undefined: nothing.
 * INVALID_ARGUMENT: a template or an expression is none.
 */
export function lineAttributes(options: LogOptions, subject: LogSubject): Record<string, string> | undefined {
  const attributes = {
    ...(options.tag && { tag: tagOf(options, subject) }),
    ...extraAttributes(options, subject),
  }
  return Object.keys(attributes).length === 0 ? undefined : attributes
}

function checkMode(options: LogOptions): void {
  const { mode = '' } = options
  if (!['', 'blocking', 'non-blocking'].includes(mode)) throw refused(`logger: logging mode not supported: ${mode}`)
  const size = options['max-buffer-size']
  if (size === undefined) return
  if (mode !== 'non-blocking')
    throw refused("logger: max-buffer-size option is only supported with 'mode=non-blocking'")
  try {
    parseSize(size)
  } catch {
    throw refused(`error parsing option max-buffer-size: invalid size: '${size}'`)
  }
}

function checkCache(options: LogOptions): void {
  const disabled = options['cache-disabled']
  if (disabled === undefined) return
  try {
    parseFlag(disabled)
  } catch {
    throw refused(`invalid value for option cache-disabled: ${disabled}`)
  }
}
