/** `networks connect|disconnect|publish|unpublish|check`: containers on networks. */
import { invalidArgument } from '#api/errors/errors.ts'
import type { PortMapping } from '#api/gen/gantry/network/v1/network.ts'
import { NetworksServiceDefinition } from '#api/gen/gantry/services/networks/v1/networks.ts'
import { parseLinks, publishOption } from '../container-config.ts'
import { Exit } from '../exit.ts'
import { printJson } from '../output/json.ts'
import { printLines } from '../output/table.ts'
import type { Session } from '../session.ts'

interface ConnectFlags {
  ip?: string
  ip6?: string
  macAddress?: string
  alias: string[]
  link: string[]
  publish: string[]
  gwPriority?: string
}

export async function connect(
  session: Session,
  flags: ConnectFlags,
  network: string,
  containerId: string,
): Promise<void> {
  const { attachment } = await session.client(NetworksServiceDefinition).connect({
    containerId,
    endpoint: {
      network,
      addresses: [flags.ip, flags.ip6].filter(address => address !== undefined),
      mac: flags.macAddress ?? '',
      aliases: flags.alias,
      links: parseLinks(flags.link),
      ports: flags.publish.flatMap(publishOption),
      gatewayPriority: wholeNumber(flags.gwPriority ?? '0', '--gw-priority'),
    },
  })
  if (session.json) return printJson(attachment)
  printLines(attachment?.result?.ips.map(({ address }) => `${attachment.interfaceName} ${address}`) ?? [])
}

export async function disconnect(
  session: Session,
  flags: { force?: boolean },
  network: string,
  containerId: string,
): Promise<void> {
  await session.client(NetworksServiceDefinition).disconnect({ containerId, network, force: flags.force ?? false })
}

interface PortFlags {
  network?: string
}

export async function publish(session: Session, flags: PortFlags, containerId: string, ports: string[]): Promise<void> {
  const wish = { containerId, network: flags.network ?? '', ports: ports.flatMap(publishOption) }
  printPorts(session, (await session.client(NetworksServiceDefinition).publish(wish)).ports)
}

export async function unpublish(
  session: Session,
  flags: PortFlags,
  containerId: string,
  ports: string[],
): Promise<void> {
  const wish = { containerId, network: flags.network ?? '', ports: ports.flatMap(publishOption) }
  printPorts(session, (await session.client(NetworksServiceDefinition).unpublish(wish)).ports)
}

export async function check(session: Session, _flags: unknown, network: string): Promise<void> {
  const { problems } = await session.client(NetworksServiceDefinition).check({ network })
  printLines(problems)
  if (problems.length > 0) throw new Exit(1)
}

function printPorts(session: Session, ports: PortMapping[]): void {
  if (session.json) printJson(ports)
  else printLines(ports.map(portLine))
}

/** As `docker port` prints it. */
function portLine({ protocol, hostPort, containerPort, hostIp, count }: PortMapping): string {
  const range = (port: number) => (count > 1 ? `${port}-${port + count - 1}` : String(port))
  const host = hostIp.includes(':') ? `[${hostIp}]` : hostIp
  return `${range(containerPort)}/${protocol} -> ${host}:${range(hostPort)}`
}

function wholeNumber(text: string, flag: string): number {
  if (!/^-?\d{1,4}$/.test(text)) throw invalidArgument(`${flag} "${text}" is no whole number between -900 and 900`)
  return Number(text)
}
