import type { PublishedPort } from '#sdk/iptables-wrapper/firewall.ts'

/** A single port with all that it is. */
export function portText(port: PublishedPort): string {
  const { protocol, hostAddress, hostPort, containerAddress, containerPort } = port
  return `${protocol} ${hostAddress} ${hostPort} ${containerAddress} ${containerPort}`
}
