/** Ports to publish, from Docker's bindings and exposed ports. */
import type { PortMapping } from '#api/gen/gantry/network/v1/network.ts'
import type { Input } from '#api/rpc/definition.ts'
import { badRequest } from '../../http/http-error.ts'
import type { Config, HostConfig } from './body.ts'

interface Port {
  number: number
  protocol: string
}

/** "80/tcp", "53/udp", "8000-8010/tcp", "80". 400 in Docker's words. */
export function parsePorts(text: string): Port[] {
  const [, first = '', last = first, protocol = 'tcp'] = /^(\d+)(?:-(\d+))?(?:\/(\w+))?$/.exec(text) ?? []
  const [from, to] = [Number(first), Number(last)]
  if (first === '' || from > to || to > 65_535 || !['tcp', 'udp', 'sctp'].includes(protocol.toLowerCase()))
    throw badRequest(`invalid port specification: "${text}"`)
  return Array.from({ length: to - from + 1 }, (_, at) => ({ number: from + at, protocol: protocol.toLowerCase() }))
}

export function publishedPorts(config: Config, host: HostConfig): Input<PortMapping>[] {
  const bound = Object.entries(host.PortBindings ?? {}).flatMap(([text, bindings]) =>
    parsePorts(text).flatMap(port => bindings.map(binding => mapping(port, binding.HostIp, binding.HostPort))),
  )
  if (!host.PublishAllPorts) return bound
  const has = ({ number, protocol }: Port) =>
    bound.some(port => port.containerPort === number && port.protocol === protocol)
  const exposed = Object.keys(config.ExposedPorts ?? {}).flatMap(parsePorts)
  return [...bound, ...exposed.filter(port => !has(port)).map(port => mapping(port, '', ''))]
}

function mapping({ number, protocol }: Port, hostIp: string, hostPort: string): Input<PortMapping> {
  const [, first = '0'] = /^(\d*)(?:-\d+)?$/.exec(hostPort) ?? ['', '-1']
  const port = Number(first)
  if (port < 0 || port > 65_535) throw badRequest(`invalid port specification: "${hostPort}"`)
  return { protocol, containerPort: number, hostPort: port, hostIp }
}
