/** The options of the gelf driver. */
import { checkPort, hostAndPort, type LogOptions, refused } from './option-values.ts'

export const gelfOptionNames = [
  'gelf-address',
  'gelf-compression-level',
  'gelf-compression-type',
  'gelf-tcp-max-reconnect',
  'gelf-tcp-reconnect-delay',
]

export interface GelfSettings {
  transport: 'udp' | 'tcp'
  host: string
  port: number
  /** Of UDP alone. */
  compression: { type: 'gzip' | 'zlib' | 'none'; level: number }
}

const fastest = 1

/** INVALID_ARGUMENT in Docker's words. */
export function parseGelfOptions(options: LogOptions): GelfSettings {
  const { transport, host, port } = addressOf(options['gelf-address'] ?? '')
  return { transport, host, port, compression: compressionOf(options, checkTransport(options, transport)) }
}

function addressOf(address: string): Pick<GelfSettings, 'transport' | 'host' | 'port'> {
  if (address === '') throw refused('gelf-address is a required parameter')
  const [, transport, rest = ''] = /^(udp|tcp):\/\/(.*)$/.exec(address) ?? []
  if (transport !== 'udp' && transport !== 'tcp')
    throw refused(`gelf-address should be in form proto://address, got ${address}`)
  checkPort(address.replace(/\/[^/:]*$/, ''))
  const { host, port } = hostAndPort(rest.replace(/\/.*$/, ''))
  if (port === undefined) throw refused('gelf: please provide gelf-address as proto://host:port')
  return { transport, host, port }
}

/** What is said of one transport and given with the other. */
function checkTransport(options: LogOptions, transport: 'udp' | 'tcp'): 'udp' | 'tcp' {
  for (const name of ['gelf-tcp-max-reconnect', 'gelf-tcp-reconnect-delay']) {
    const value = options[name]
    if (value === undefined) continue
    if (transport !== 'tcp') throw refused(`"${name}" is only valid for TCP`)
    if (!/^\d+$/.test(value)) throw refused(`"${name}" must be a positive integer`)
  }
  const compresses = 'gelf-compression-type' in options || 'gelf-compression-level' in options
  if (compresses && transport !== 'udp') throw refused('compression is only supported on UDP')
  return transport
}

function compressionOf(options: LogOptions, transport: 'udp' | 'tcp'): GelfSettings['compression'] {
  const { 'gelf-compression-type': type = transport === 'udp' ? 'gzip' : 'none', 'gelf-compression-level': level } =
    options
  if (type !== 'gzip' && type !== 'zlib' && type !== 'none') throw unknownValue('gelf-compression-type', type)
  if (level === undefined) return { type, level: fastest }
  if (!/^(-1|\d)$/.test(level)) throw unknownValue('gelf-compression-level', level)
  return { type, level: Number(level) }
}

const unknownValue = (name: string, value: string) =>
  refused(`unknown value ${JSON.stringify(value)} for log opt "${name}" for gelf log driver`)
