/**
 * The table as nft(8) reads it. Rules never change: what comes and goes are elements of its sets and maps
 * (elements.ts writes the same ones by netlink).
 *
 * Priorities: `guard` runs before connection tracking (raw, -300); addresses are translated where iptables' nat table
 * does it (-100 and 100), so a host's own filters (priority 0) see containers' addresses, as they are used to from Docker.
 * ::1 is left alone: the kernel drops what comes back for it from a link, and has no `route_localnet` for IPv6.
 * No verdict of ours overrules a host's own: `accept` ends our chain only, a `drop` of another table stays a drop.
 */
import { formatSubnet, type IpSubnet } from '../../network-addresses.ts'
import { type FirewallNetwork, type FirewallState, isWildcard, type PublishedPort, singlePorts } from '../firewall.ts'
import { portMapOf } from './elements.ts'

/** Protocol and port of the host → address and port of the container. */
const key = 'inet_proto . inet_service'

const rules = `
  set bridges { type ifname; }
  set subnets4 { type ipv4_addr; flags interval; }
  set subnets6 { type ipv6_addr; flags interval; }
  set hairpin4 { type ipv4_addr . ifname; flags interval; }
  set hairpin6 { type ipv6_addr . ifname; flags interval; }
  set same { type ifname . ifname; }
  set internal { type ifname; }
  map ports4 { type ${key} : ipv4_addr . inet_service; }
  map ports6 { type ${key} : ipv6_addr . inet_service; }
  map ports4-at { type ipv4_addr . ${key} : ipv4_addr . inet_service; }
  map ports6-at { type ipv6_addr . ${key} : ipv6_addr . inet_service; }

  chain guard {
    type filter hook prerouting priority raw; policy accept;
    iifname @bridges ip daddr 127.0.0.0/8 drop
  }
  chain publish {
    dnat ip to ip daddr . meta l4proto . th dport map @ports4-at
    dnat ip to meta l4proto . th dport map @ports4
    dnat ip6 to ip6 daddr . meta l4proto . th dport map @ports6-at
    dnat ip6 to meta l4proto . th dport map @ports6
  }
  chain prerouting {
    type nat hook prerouting priority dstnat; policy accept;
    fib daddr type local jump publish
  }
  chain output {
    type nat hook output priority -100; policy accept;
    ip6 daddr ::1 accept
    fib daddr type local jump publish
  }
  chain postrouting {
    type nat hook postrouting priority srcnat; policy accept;
    oifname @bridges ip saddr 127.0.0.0/8 masquerade
    oifname @bridges ct status dnat ip saddr . oifname @hairpin4 masquerade
    oifname @bridges ct status dnat ip6 saddr . oifname @hairpin6 masquerade
    oifname != @bridges ip saddr @subnets4 masquerade
    oifname != @bridges ip6 saddr @subnets6 masquerade
  }
  chain forward {
    type filter hook forward priority filter; policy accept;
    ct state established,related accept
    iifname . oifname @same accept
    iifname @internal drop
    oifname @internal drop
    oifname @bridges ct status dnat accept
    oifname @bridges drop
  }`

/** Replaces the table, if there is one, by what `state` says: one transaction, so no packet sees anything between. */
export function rulesetText(table: string, { networks, ports }: FirewallState): string {
  const elements = [...networks.flatMap(networkElements), ...singlePorts(ports).map(portElement)]
  const additions = [...Map.groupBy(elements, ({ set }) => set)].map(
    ([set, members]) => `add element inet ${table} ${set} { ${members.map(({ text }) => text).join(', ')} }`,
  )
  const anew = [`add table inet ${table}`, `delete table inet ${table}`, `table inet ${table} {${rules}\n}`]
  return [...anew, ...additions, ''].join('\n')
}

interface TextElement {
  set: string
  text: string
}

function networkElements({ bridge, subnets, internal, masquerade, intraTraffic }: FirewallNetwork): TextElement[] {
  const link = `"${bridge}"`
  const wanted: readonly [boolean, string, string][] = [
    [true, 'bridges', link],
    [intraTraffic, 'same', `${link} . ${link}`],
    [internal, 'internal', link],
    ...subnets.flatMap(subnet => subnetElements(subnet, link, masquerade && !internal)),
  ]
  return wanted.filter(([applies]) => applies).map(([, set, text]) => ({ set, text }))
}

function subnetElements(subnet: IpSubnet, link: string, isMasqueraded: boolean): [boolean, string, string][] {
  const cidr = formatSubnet(subnet)
  return [
    [isMasqueraded, `subnets${subnet.family}`, cidr],
    [true, `hairpin${subnet.family}`, `${cidr} . ${link}`],
  ]
}

function portElement(port: PublishedPort): TextElement {
  const { protocol, hostAddress, hostPort, containerAddress, containerPort } = port
  const at = isWildcard(port) ? '' : `${hostAddress} . `
  return { set: portMapOf(port), text: `${at}${protocol} . ${hostPort} : ${containerAddress} . ${containerPort}` }
}
