/** The options of the syslog driver. */
import { statSync } from 'node:fs'
import { checkPort, hostAndPort, type LogOptions, refused } from './option-values.ts'

export const syslogOptionNames = [
  'syslog-address',
  'syslog-facility',
  'syslog-format',
  'syslog-tls-ca-cert',
  'syslog-tls-cert',
  'syslog-tls-key',
  'syslog-tls-skip-verify',
]

export type SyslogFormat = 'unix' | 'rfc3164' | 'rfc5424' | 'rfc5424micro'

/** `local`: the host's own, at /dev/log. */
export type SyslogTarget =
  | { transport: 'local' }
  | { transport: 'unix' | 'unixgram'; path: string }
  | { transport: 'udp' | 'tcp' | 'tls'; host: string; port: number }

export interface SyslogSettings {
  target: SyslogTarget
  /** RFC 5424, 6.2.1. */
  facility: number
  format: SyslogFormat
  /** Files. */
  tls: { ca?: string; cert?: string; key?: string; skipVerify: boolean }
}

const facilities = (
  'kern user mail daemon auth syslog lpr news uucp cron authpriv ftp - - - - ' +
  'local0 local1 local2 local3 local4 local5 local6 local7'
).split(' ')
const daemonFacility = 3
const defaultPort = 514
const transports: Record<string, 'udp' | 'tcp' | 'tls'> = { udp: 'udp', tcp: 'tcp', 'tcp+tls': 'tls' }

/** INVALID_ARGUMENT in Docker's words. */
export function parseSyslogOptions(options: LogOptions): SyslogSettings {
  const { 'syslog-tls-ca-cert': ca, 'syslog-tls-cert': cert, 'syslog-tls-key': key } = options
  return {
    target: targetOf(options['syslog-address'] ?? ''),
    facility: facilityOf(options['syslog-facility'] ?? ''),
    format: formatOf(options['syslog-format'] ?? ''),
    tls: {
      ...(ca && { ca }),
      ...(cert && { cert }),
      ...(key && { key }),
      // As in Docker, its presence is what counts.
      skipVerify: (options['syslog-tls-skip-verify'] ?? '') !== '',
    },
  }
}

function targetOf(address: string): SyslogTarget {
  if (address === '') return { transport: 'local' }
  const [, scheme = '', rest = ''] = /^([a-z+]+):\/\/(.*)$/.exec(address) ?? []
  if (scheme === 'unix' || scheme === 'unixgram') {
    if (!statSync(rest, { throwIfNoEntry: false })) throw refused(`stat ${rest}: no such file or directory`)
    return { transport: scheme, path: rest }
  }
  const transport = transports[scheme]
  if (!transport) throw refused(`syslog-address should be in form proto://address, got ${address}`)
  checkPort(address)
  const { host, port = defaultPort } = hostAndPort(rest.replace(/\/.*$/, ''))
  return { transport, host: host || 'localhost', port }
}

function facilityOf(text: string): number {
  if (text === '') return daemonFacility
  const named = text === '-' ? -1 : facilities.indexOf(text)
  if (named >= 0) return named
  if (/^\d+$/.test(text) && Number(text) <= 23) return Number(text)
  throw refused('invalid syslog facility')
}

function formatOf(text: string): SyslogFormat {
  if (text === '') return 'unix'
  if (text === 'rfc3164' || text === 'rfc5424' || text === 'rfc5424micro') return text
  throw refused('Invalid syslog format')
}
