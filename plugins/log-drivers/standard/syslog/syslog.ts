/** The syslog driver: UDP, TCP, TLS, or a unix socket. */
import { readFile } from 'node:fs/promises'
import type { ConnectionOptions } from 'node:tls'
import { parseSyslogOptions, type SyslogSettings } from '#api/log-drivers/syslog-options.ts'
import { sendDatagrams } from '#api/sys/sys.ts'
import { ByteStream, type StreamTarget } from '../byte-stream.ts'
import type { Carrier, Identity } from '../carrier.ts'
import { UdpSender } from '../datagrams.ts'
import type { DriverPlace } from '../log-drivers.ts'
import { formatMessage } from './format.ts'

export async function openSyslog(identity: Identity, place: DriverPlace): Promise<Carrier> {
  const settings = parseSyslogOptions(identity.source.options)
  const way = await openWay(settings, place)
  return {
    send: lines => way.send(lines.map(line => formatMessage(line, identity, settings))),
    close: () => way.close(),
  }
}

interface Way {
  send(messages: readonly string[]): Promise<void>
  close(): Promise<void>
}

async function openWay(settings: SyslogSettings, { config }: DriverPlace): Promise<Way> {
  const { target } = settings
  switch (target.transport) {
    case 'local':
      return datagramWay(config.syslog_socket)
    case 'unixgram':
      return datagramWay(target.path)
    case 'unix':
      return streamWay({ to: { path: target.path } }, message => message)
    case 'tcp':
      return streamWay({ to: { host: target.host, port: target.port } }, message => message)
    case 'tls': {
      const { host, port } = target
      const tls = await tlsOptions(settings, host)
      return streamWay({ to: { host, port }, tls }, isRfc5424(settings) ? counted : message => message)
    }
    case 'udp':
      return udpWay(await UdpSender.open(target.host, target.port))
  }
}

const isRfc5424 = ({ format }: SyslogSettings) => format === 'rfc5424' || format === 'rfc5424micro'

/** Octet counting: RFC 5425, 4.3. */
const counted = (message: string) => `${Buffer.byteLength(message)} ${message}`

function datagramWay(path: string): Way {
  return {
    send: messages =>
      sendDatagrams(
        path,
        messages.map(message => Buffer.from(message)),
      ),
    close: async () => {},
  }
}

function streamWay(target: StreamTarget, frame: (message: string) => string): Way {
  const stream = new ByteStream(target)
  return {
    send: messages => stream.write(Buffer.from(messages.map(frame).join(''))),
    close: () => stream.close(),
  }
}

function udpWay(sender: UdpSender): Way {
  return {
    async send(messages) {
      for (const message of messages) await sender.send(Buffer.from(message))
    },
    close: async () => sender.close(),
  }
}

async function tlsOptions({ tls }: SyslogSettings, host: string): Promise<ConnectionOptions> {
  const read = async (path: string | undefined) => (path === undefined ? undefined : await readFile(path))
  const [ca, cert, key] = await Promise.all([read(tls.ca), read(tls.cert), read(tls.key)])
  return {
    rejectUnauthorized: !tls.skipVerify,
    ...(!/^[\d.:]+$/.test(host) && { servername: host }),
    ...(ca && { ca }),
    ...(cert && { cert }),
    ...(key && { key }),
  }
}
