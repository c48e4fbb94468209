/** The egress tables as nft(8) reads them. */
import { addressAt, addressFromBytes, familyOf, formatSubnet, type IpSubnet } from '../../network-addresses.ts'
import type { TransportProtocol } from '../firewall.ts'
import type { EgressGuard, EgressRule } from './egress-filter.ts'

const protocolNumbers: Readonly<Record<TransportProtocol, number>> = { tcp: 6, udp: 17, sctp: 132 }
const lastPort = 65_535

/** Before bridge netfilter and the bridge's own decision where a frame goes. */
const bridgeRules = `
  set links { type ifname; }
  set denied { type ifname; counter; }
  set self4 { type ifname . ether_addr . ipv4_addr; }
  set self6 { type ifname . ether_addr . ipv6_addr; }
  map ways { type ifname : ether_addr; }
  map divert4 { type ipv4_addr : ether_addr; }
  map divert6 { type ipv6_addr : ether_addr; }
  chain prerouting {
    type filter hook prerouting priority filter; policy accept;
    iifname @links goto guarded
    icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } accept
    ether daddr set ip daddr map @divert4 meta pkttype set host
    ether daddr set ip6 daddr map @divert6 meta pkttype set host
  }
  chain guarded {
    iifname . arp saddr ether . arp saddr ip @self4 accept
    icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } accept
    icmpv6 type { nd-router-solicit, mld-listener-report, mld2-listener-report } drop
    iifname . ether saddr . ip saddr @self4 ether daddr set iifname map @ways meta pkttype set host accept
    iifname . ether saddr . ip6 saddr @self6 ether daddr set iifname map @ways meta pkttype set host accept
    iifname @denied drop
    drop
  }`

/** Behind connection tracking (-200), before published ports are translated (-100): the list speaks of what was asked for. */
const addressRules = ([4, 6] as const)
  .map(
    family => `
  set guarded${family} { type ipv${family}_addr; }
  set denied${family} { type ipv${family}_addr; counter; }
  set allow${family} { type ipv${family}_addr . ipv${family}_addr . inet_proto . inet_service; flags interval; }
  set named${family} { type ipv${family}_addr . ipv${family}_addr; flags timeout; }
  set named${family}-port { type ipv${family}_addr . ipv${family}_addr . inet_proto . inet_service; flags timeout; }`,
  )
  .join('')

const check = ([4, 6] as const)
  .map(family => {
    const ip = family === 4 ? 'ip' : 'ip6'
    return `
    ${ip} saddr . ${ip} daddr . meta l4proto . th dport @allow${family} accept
    ${ip} saddr . ${ip} daddr @named${family} accept
    ${ip} saddr . ${ip} daddr . meta l4proto . th dport @named${family}-port accept
    ${ip} saddr @denied${family} drop`
  })
  .join('')

const inetRules = `${addressRules}
  chain egress {
    type filter hook prerouting priority mangle; policy accept;
    ip saddr @guarded4 goto check
    ip6 saddr @guarded6 goto check
  }
  chain check {
    ct state established,related accept
    icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } ip6 hoplimit 255 accept${check}
    drop
  }`

/** An element of one of the sets `named…`. */
export interface PermittedElement {
  readonly set: string
  readonly key: Buffer
  readonly seconds: number
}

/** Replaces both tables by what the guards say and names have led to, in one transaction. */
export function egressRuleset(
  table: string,
  guards: readonly EgressGuard[],
  permitted: readonly PermittedElement[],
): string {
  const lines = (['bridge', 'inet'] as const).flatMap(family => [
    `add table ${family} ${table}`,
    `delete table ${family} ${table}`,
    `table ${family} ${table} {${family === 'bridge' ? bridgeRules : inetRules}\n}`,
  ])
  const elements = [...guards.flatMap(elementsOf), ...permitted.map(permittedElement)]
  return [...lines, ...elementLines('add', table, elements), ''].join('\n')
}

/** What makes one guard of another; either may be missing. Counters of what stays go on. Empty: they are alike. */
export function changeText(table: string, before: EgressGuard | undefined, after: EgressGuard | undefined): string {
  const [old, now] = [before ? elementsOf(before) : [], after ? elementsOf(after) : []]
  const texts = (elements: readonly Element[]) => new Set(elements.map(({ set, text }) => `${set} ${text}`))
  const [oldTexts, nowTexts] = [texts(old), texts(now)]
  const gone = old.filter(({ set, text }) => !nowTexts.has(`${set} ${text}`))
  const come = now.filter(({ set, text }) => !oldTexts.has(`${set} ${text}`))
  return [...elementLines('delete', table, gone), ...elementLines('add', table, come)].map(line => `${line}\n`).join('')
}

interface Element {
  /** With its family: `inet allow4`. */
  readonly set: string
  readonly text: string
}

function elementsOf({ hostLink, mac, bridgeMac, addresses, allow }: EgressGuard): Element[] {
  const link = `"${hostLink}"`
  return [
    { set: 'bridge links', text: link },
    { set: 'bridge denied', text: link },
    { set: 'bridge ways', text: `${link} : ${bridgeMac}` },
    ...addresses.flatMap(address => {
      const family = familyOf(address)
      return [
        { set: `bridge self${family}`, text: `${link} . ${mac} . ${address}` },
        { set: `bridge divert${family}`, text: `${address} : ${bridgeMac}` },
        { set: `inet guarded${family}`, text: address },
        { set: `inet denied${family}`, text: address },
        ...allow
          .filter(({ subnet }) => subnet.family === family)
          .map(rule => ({ set: `inet allow${family}`, text: `${address} . ${ruleText(rule)}` })),
      ]
    }),
  ]
}

/** The bytes of a key as text: own address, other address, and perhaps protocol and port. */
function permittedElement({ set, key, seconds }: PermittedElement): Element {
  const length = set.startsWith('named4') ? 4 : 16
  const addresses = [key.subarray(0, length), key.subarray(length, 2 * length)].map(bytes => addressFromBytes(bytes))
  const port = set.endsWith('-port') ? [String(key[2 * length]), String(key.readUInt16BE(2 * length + 4))] : []
  return { set: `inet ${set}`, text: `${[...addresses, ...port].join(' . ')} timeout ${seconds}s` }
}

/** A whole family is no prefix to nft in a concatenation, but a range it is. */
function ruleText({ subnet, protocol, firstPort, lastPort: last }: EgressRule): string {
  const to =
    subnet.prefix === 0
      ? `${addressAt(subnet.family, subnet.first)}-${addressAt(subnet.family, subnet.last)}`
      : formatSubnet(subnet)
  if (protocol === undefined) return `${to} . 0-255 . 0-${lastPort}`
  return `${to} . ${protocol} . ${firstPort === last ? firstPort : `${firstPort}-${last}`}`
}

function elementLines(verb: 'add' | 'delete', table: string, elements: readonly Element[]): string[] {
  return [...Map.groupBy(elements, ({ set }) => set)].map(([set, members]) => {
    const [family, name] = set.split(' ')
    return `${verb} element ${family} ${table} ${name} { ${members.map(({ text }) => text).join(', ')} }`
  })
}

/** Protocol and port as a key's last fields: each in four bytes. */
export function portKey(protocol: TransportProtocol, port: number): Buffer {
  return Buffer.from([protocolNumbers[protocol], 0, 0, 0, port >> 8, port & 255, 0, 0])
}

/**
 * The same in rules that do not overlap, as the kernel's sets of ranges want it: the larger subnets first, and from the
 * smaller ones' ports those that a larger one has.
 */
export function disjointRules(rules: readonly EgressRule[]): EgressRule[] {
  const kept: EgressRule[] = []
  for (const rule of rules.toSorted((a, b) => a.subnet.prefix - b.subnet.prefix || portSpan(b) - portSpan(a))) {
    const above = kept.filter(other => covers(other.subnet, rule.subnet))
    if (above.some(({ protocol }) => protocol === undefined)) continue
    kept.push(...above.filter(({ protocol }) => protocol === rule.protocol).reduce(without, [rule]))
  }
  return kept
}

function portSpan({ protocol, firstPort, lastPort: last }: EgressRule): number {
  return protocol === undefined ? Number.POSITIVE_INFINITY : last - firstPort
}

function covers(outer: IpSubnet, inner: IpSubnet): boolean {
  return outer.family === inner.family && outer.first <= inner.first && inner.last <= outer.last
}

function without(rules: readonly EgressRule[], { firstPort, lastPort: last }: EgressRule): EgressRule[] {
  return rules.flatMap(rule => {
    if (last < rule.firstPort || firstPort > rule.lastPort) return rule
    return [
      ...(rule.firstPort < firstPort ? [{ ...rule, lastPort: firstPort - 1 }] : []),
      ...(rule.lastPort > last ? [{ ...rule, firstPort: last + 1 }] : []),
    ]
  })
}
