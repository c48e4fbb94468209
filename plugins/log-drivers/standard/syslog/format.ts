/** Messages of syslog in Docker's formats: RFC 3164, RFC 5424, and what programs of a host send to /dev/log. */
import type { SyslogFormat } from '#api/log-drivers/syslog-options.ts'
import { type Identity, type OutLine, severityOf } from '../carrier.ts'

const months = 'Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec'.split(' ')

export function formatMessage(
  line: OutLine,
  { tag, host }: Pick<Identity, 'tag' | 'host'>,
  { format, facility }: { format: SyslogFormat; facility: number },
): string {
  const priority = `<${facility * 8 + severityOf(line)}>`
  const { pid } = process
  const { text } = line
  switch (format) {
    case 'unix':
      return `${priority}${stamp(line.at)} ${tag}[${pid}]: ${text}\n`
    case 'rfc3164':
      return `${priority}${stamp(line.at)} ${host} ${tag}[${pid}]: ${text}\n`
    case 'rfc5424':
      return `${priority}1 ${line.time.slice(0, 19)}Z ${host} ${tag} ${pid} ${tag} - ${text}\n`
    case 'rfc5424micro':
      return `${priority}1 ${line.time.slice(0, 26)}Z ${host} ${tag} ${pid} ${tag} - ${text}\n`
  }
}

/** "Jan  2 15:04:05", in the host's time zone (RFC 3164, 4.1.2). */
function stamp(at: Date): string {
  const two = (number: number) => String(number).padStart(2, '0')
  const time = [at.getHours(), at.getMinutes(), at.getSeconds()].map(two).join(':')
  return `${months[at.getMonth()]} ${String(at.getDate()).padStart(2)} ${time}`
}
