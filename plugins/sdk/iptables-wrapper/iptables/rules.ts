/**
 * Our chains as iptables-restore(8) reads them. What nftables says with sets are lines here: a packet's cost, and a
 * change's, grow with networks and ports.
 *
 * Our chain in `filter` is asked before the host's own rules, and says `RETURN` for what it has nothing against: so it opens
 * nothing that the host's rules close, and nobody's `ACCEPT` opens what it closes.
 */
import { addressBits, anyAddress, type Family, familyOf, formatSubnet } from '../../network-addresses.ts'
import { type FirewallNetwork, type FirewallState, isWildcard, type PublishedPort, singlePorts } from '../firewall.ts'

/** The place a chain of ours hangs at. */
export interface Hook {
  readonly table: 'raw' | 'nat' | 'filter'
  readonly builtIn: string
  readonly chain: string
  /** Further conditions of the jump. */
  readonly match: string
}

export const publishSuffix = '-P'

/** At most 28 characters. */
export function chainName(instance: string, suffix: string): string {
  return `GANTRY-${instance}${suffix}`
}

/** Where our chains are called from, by family. */
export function hooksOf(instance: string, family: Family): Hook[] {
  const local = '-m addrtype --dst-type LOCAL '
  const publish = chainName(instance, publishSuffix)
  return [
    { table: 'raw', builtIn: 'PREROUTING', chain: chainName(instance, '-G'), match: '' },
    { table: 'nat', builtIn: 'PREROUTING', chain: publish, match: local },
    // ::1 is left alone: the kernel drops what comes back for it.
    { table: 'nat', builtIn: 'OUTPUT', chain: publish, match: family === 6 ? `! -d ::1/128 ${local}` : local },
    { table: 'nat', builtIn: 'POSTROUTING', chain: chainName(instance, '-M'), match: '' },
    { table: 'filter', builtIn: 'FORWARD', chain: chainName(instance, '-F'), match: '' },
  ]
}

/** As `iptables-save` writes the jump. */
export function jumpText({ builtIn, chain, match }: Hook): string {
  return `${builtIn} ${match}-j ${chain}`
}

/** All of our chains, new or instead of what they hold, and the jumps that are missing. */
export function rulesText(instance: string, family: Family, state: FirewallState, missing: readonly Hook[]): string {
  const bodies: Readonly<Record<string, readonly string[]>> = {
    [chainName(instance, '-G')]:
      family === 4 ? state.networks.map(({ bridge }) => `-i ${bridge} -d 127.0.0.0/8 -j DROP`) : [],
    [chainName(instance, publishSuffix)]: publishRules(family, state.ports),
    [chainName(instance, '-M')]: masqueradeRules(family, state.networks),
    [chainName(instance, '-F')]: forwardRules(state.networks),
  }
  const hooks = hooksOf(instance, family)
  const tables = Map.groupBy(hooks, ({ table }) => table)
  return [...tables]
    .flatMap(([table, members]) => {
      const chains = [...new Set(members.map(({ chain }) => chain))]
      const jumps = missing.filter(hook => hook.table === table).map(hook => `-I ${jumpText(hook).replace(' ', ' 1 ')}`)
      const rules = chains.flatMap(chain => (bodies[chain] ?? []).map(rule => `-A ${chain} ${rule}`))
      return [`*${table}`, ...chains.map(chain => `:${chain} - [0:0]`), ...rules, ...jumps, 'COMMIT', '']
    })
    .join('\n')
}

/** Takes away what of ours is there. */
export function removalText(instance: string, family: Family, present: readonly Hook[]): string {
  const tables = Map.groupBy(hooksOf(instance, family), ({ table }) => table)
  return [...tables]
    .flatMap(([table, members]) => {
      const chains = [...new Set(members.map(({ chain }) => chain))]
      const jumps = present.filter(hook => hook.table === table).map(hook => `-D ${jumpText(hook)}`)
      return [
        `*${table}`,
        ...chains.map(chain => `:${chain} - [0:0]`),
        ...jumps,
        ...chains.map(chain => `-X ${chain}`),
        'COMMIT',
        '',
      ]
    })
    .join('\n')
}

function forwardRules(networks: readonly FirewallNetwork[]): string[] {
  const bridges = networks.map(({ bridge }) => bridge)
  const inner = networks.filter(({ internal }) => internal).map(({ bridge }) => bridge)
  return [
    '-m conntrack --ctstate RELATED,ESTABLISHED -j RETURN',
    ...networks.filter(({ intraTraffic }) => intraTraffic).map(({ bridge }) => `-i ${bridge} -o ${bridge} -j RETURN`),
    ...inner.flatMap(bridge => [`-i ${bridge} -j DROP`, `-o ${bridge} -j DROP`]),
    ...bridges.map(bridge => `-o ${bridge} -m conntrack --ctstate DNAT -j RETURN`),
    ...bridges.map(bridge => `-o ${bridge} -j DROP`),
  ]
}

function masqueradeRules(family: Family, networks: readonly FirewallNetwork[]): string[] {
  const subnetsOf = ({ subnets }: FirewallNetwork) =>
    subnets.filter(subnet => subnet.family === family).map(formatSubnet)
  return [
    ...networks.flatMap(network => [
      ...(family === 4 ? [`-s 127.0.0.0/8 -o ${network.bridge} -j MASQUERADE`] : []),
      ...subnetsOf(network).map(cidr => `-s ${cidr} -o ${network.bridge} -m conntrack --ctstate DNAT -j MASQUERADE`),
    ]),
    ...networks.map(({ bridge }) => `-o ${bridge} -j RETURN`),
    ...networks
      .filter(({ masquerade, internal }) => masquerade && !internal)
      .flatMap(network => subnetsOf(network).map(cidr => `-s ${cidr} -j MASQUERADE`)),
  ]
}

/** Single addresses before all of them. */
function publishRules(family: Family, ports: readonly PublishedPort[]): string[] {
  const own = ports.filter(({ hostAddress }) => familyOf(hostAddress) === family)
  const ordered = [...own.filter(port => !isWildcard(port)), ...own.filter(isWildcard)]
  return ordered.flatMap(port => (port.hostPort === port.containerPort ? [port] : singlePorts([port]))).map(publishRule)
}

/** A range whose ports stay the same is one rule; without a port in the target the port is kept. */
function publishRule(port: PublishedPort): string {
  const { protocol, hostAddress, hostPort, containerAddress, containerPort, count } = port
  const to = isWildcard(port) ? '' : `-d ${hostAddress}/${addressBits(familyOf(hostAddress))} `
  const range = count === 1 ? String(hostPort) : `${hostPort}:${hostPort + count - 1}`
  const target = familyOf(containerAddress) === 6 ? `[${containerAddress}]` : containerAddress
  const place = count === 1 ? `${target}:${containerPort}` : containerAddress
  return `${to}-p ${protocol} -m ${protocol} --dport ${range} -j DNAT --to-destination ${place}`
}

/** The inverse, of lines as iptables-save writes them: all published ports, with their chain. */
export function readPublished(family: Family, lines: readonly string[]): { chain: string; port: PublishedPort }[] {
  return lines.flatMap(line => {
    const [, chain = '', address = anyAddress(family), protocol, first = '', last = first, target = ''] =
      /^-A (GANTRY-[0-9a-f]+-P) (?:-d ([^/]+)\/\d+ )?-p (tcp|udp|sctp) -m \w+ --dport (\d+)(?::(\d+))? -j DNAT --to-destination (\S+)$/.exec(
        line,
      ) ?? []
    if (protocol !== 'tcp' && protocol !== 'udp' && protocol !== 'sctp') return []
    const [, six, four, port = first] = /^(?:\[([^\]]+)\]|([0-9.]+))(?::(\d+))?$/.exec(target) ?? []
    const count = Number(last) - Number(first) + 1
    return {
      chain,
      port: {
        ...{ protocol, hostAddress: address, hostPort: Number(first), containerPort: Number(port), count },
        containerAddress: six ?? four ?? target,
      },
    }
  })
}
