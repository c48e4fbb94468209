/** What every network plugin may rely on in a request. INVALID_ARGUMENT names the field and the value. */
import { isIP } from 'node:net'
import { invalidArgument } from '#api/errors/errors.ts'
import type { AddRequest, Attachment, Network, PortMapping, TraceRequest } from './network.ts'

export const transportProtocols = ['tcp', 'udp', 'sctp'] as const

/** IFNAMSIZ without its NUL. */
const maxInterfaceNameBytes = 15
const maxPort = 65_535
const maxPortsPerRequest = 65_535
const minMtu = 68

export function checkNetwork(network: Network | undefined): Network {
  if (network === undefined) throw invalidArgument('network is missing')
  checkNetworkId(network.id)
  if (network.mtu !== 0 && (network.mtu < minMtu || network.mtu > maxPort))
    throw invalidArgument(`network.mtu ${network.mtu} is not between ${minMtu} and ${maxPort} bytes`)
  return network
}

export function checkNetworkId(id: string): void {
  if (!/^[0-9a-f]{64}$/.test(id)) throw invalidArgument(`network id "${id}" is not 64 hexadecimal digits`)
}

/** The three parts of an attachment's name. */
export function checkAttachment(request: Pick<AddRequest, 'networkId' | 'containerId' | 'interfaceName'>): void {
  checkNetworkId(request.networkId)
  if (request.containerId === '') throw invalidArgument('container_id is empty')
  const name = request.interfaceName
  const fits = Buffer.byteLength(name) <= maxInterfaceNameBytes && /^[^\s/:%]+$/.test(name)
  if (!fits || name === '.' || name === '..' || name === 'lo')
    throw invalidArgument(
      `interface_name "${name}" is no name for a link: 1 to ${maxInterfaceNameBytes} bytes without spaces, "/", ":" and "%", and not "lo"`,
    )
}

export function checkAdd(request: AddRequest): void {
  checkAttachment(request)
  if (request.mac !== '' && !isUnicastMac(request.mac))
    throw invalidArgument(`mac "${request.mac}" is not a unicast address such as 02:42:ac:1e:00:02`)
  for (const address of request.addresses)
    if (isIP(address) === 0) throw invalidArgument(`address "${address}" is not an IP address without prefix length`)
  checkPorts(request.ports)
}

export function checkPorts(ports: readonly PortMapping[]): void {
  const count = ports.reduce((sum, port) => sum + Math.max(port.count, 1), 0)
  if (count > maxPortsPerRequest)
    throw invalidArgument(`${count} ports are more than the ${maxPortsPerRequest} one request may have`)
  for (const port of ports) checkPort(port)
}

function checkPort({ protocol, hostPort, containerPort, hostIp, count }: PortMapping): void {
  const known: readonly string[] = transportProtocols
  if (!known.includes(protocol))
    throw invalidArgument(`port protocol "${protocol}" is not one of ${transportProtocols.join(', ')}`)
  if (containerPort < 1 || containerPort > maxPort)
    throw invalidArgument(`container port ${containerPort} is not between 1 and ${maxPort}`)
  if (hostPort > maxPort) throw invalidArgument(`host port ${hostPort} is not between 0 and ${maxPort}`)
  if (count > 1 && containerPort + count - 1 > maxPort)
    throw invalidArgument(`container ports: ${count} from ${containerPort} on go beyond ${maxPort}`)
  if (hostIp !== '' && isIP(hostIp) === 0) throw invalidArgument(`host address "${hostIp}" is not an IP address`)
}

/** What was asked to be closed must not stay open in silence: a wish of ours that the plugin does not know is refused. */
export function checkOptions(options: Readonly<Record<string, string>>, known: readonly string[] = []): void {
  const unknown = Object.keys(options).find(key => key.startsWith('gantry.') && !known.includes(key))
  if (unknown !== undefined)
    throw invalidArgument(`options: "${unknown}" is not one of this network's: ${known.join(', ') || 'it has none'}`)
}

export function checkTrace({ destination, protocol, port }: Omit<TraceRequest, keyof Attachment>): void {
  if (isIP(destination) === 0) throw invalidArgument(`destination "${destination}" is not an IP address`)
  if (protocol !== 'tcp' && protocol !== 'udp') throw invalidArgument(`protocol "${protocol}" is neither tcp nor udp`)
  if (port < 1 || port > maxPort) throw invalidArgument(`port ${port} is not between 1 and ${maxPort}`)
}

/** Six bytes; the lowest bit of the first marks groups. */
function isUnicastMac(mac: string): boolean {
  return /^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/i.test(mac) && (Number.parseInt(mac.slice(0, 2), 16) & 1) === 0
}
