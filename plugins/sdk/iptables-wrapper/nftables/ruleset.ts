/**
 * The table as nft(8) reads it. Rules never change: what comes and goes are elements of its sets and maps
 * (elements.ts writes the same ones by netlink).
 *
 * Priorities: `guard` runs before connection tracking (raw, -300); addresses are translated where iptables' nat table
 * does it (-100 and 100), so a host's own filters (priority 0) see containers' addresses, as they are used to from Docker.
 */
import { formatIpv4, formatIpv4Subnet } from '../../network-addresses.ts'
import type { FirewallNetwork, FirewallState, PublishedPort } from '../firewall.ts'

const rules = `
  set bridges { type ifname; }
  set subnets { type ipv4_addr; flags interval; }
  set hairpin { type ipv4_addr . ifname; flags interval; }
  set same { type ifname . ifname; }
  set internal { type ifname; }
  map ports { type inet_proto . inet_service : ipv4_addr . inet_service; }
  map ports-at { type ipv4_addr . inet_proto . inet_service : ipv4_addr . inet_service; }

  chain guard {
    type filter hook prerouting priority raw; policy accept;
    iifname @bridges ip daddr 127.0.0.0/8 drop
  }
  chain publish {
    dnat ip to ip daddr . meta l4proto . th dport map @ports-at
    dnat ip to meta l4proto . th dport map @ports
  }
  chain prerouting {
    type nat hook prerouting priority dstnat; policy accept;
    fib daddr type local jump publish
  }
  chain output {
    type nat hook output priority -100; policy accept;
    fib daddr type local jump publish
  }
  chain postrouting {
    type nat hook postrouting priority srcnat; policy accept;
    oifname @bridges ip saddr 127.0.0.0/8 masquerade
    oifname @bridges ct status dnat ip saddr . oifname @hairpin masquerade
    oifname != @bridges ip saddr @subnets masquerade
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
  const elements = [...networks.flatMap(networkElements), ...ports.map(portElement)]
  const additions = [...Map.groupBy(elements, ({ set }) => set)].map(
    ([set, members]) => `add element ip ${table} ${set} { ${members.map(({ text }) => text).join(', ')} }`,
  )
  return [`add table ip ${table}`, `delete table ip ${table}`, `table ip ${table} {${rules}\n}`, ...additions, ''].join(
    '\n',
  )
}

interface TextElement {
  set: string
  text: string
}

function networkElements({ bridge, subnet, internal, masquerade, intraTraffic }: FirewallNetwork): TextElement[] {
  const link = `"${bridge}"`
  const cidr = formatIpv4Subnet(subnet)
  const wanted: readonly [boolean, string, string][] = [
    [true, 'bridges', link],
    [masquerade && !internal, 'subnets', cidr],
    [true, 'hairpin', `${cidr} . ${link}`],
    [intraTraffic, 'same', `${link} . ${link}`],
    [internal, 'internal', link],
  ]
  return wanted.filter(([applies]) => applies).map(([, set, text]) => ({ set, text }))
}

function portElement({ protocol, hostAddress, hostPort, containerAddress, containerPort }: PublishedPort): TextElement {
  const key = `${protocol} . ${hostPort}`
  const target = `${formatIpv4(containerAddress)} . ${containerPort}`
  return hostAddress === 0
    ? { set: 'ports', text: `${key} : ${target}` }
    : { set: 'ports-at', text: `${formatIpv4(hostAddress)} . ${key} : ${target}` }
}
