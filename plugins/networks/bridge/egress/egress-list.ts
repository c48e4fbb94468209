/**
 * The option `gantry.network.egress`: what a container may reach, entries apart by commas or spaces.
 *
 *     10.0.0.0/8   10.1.2.3:5432   [2001:db8::]/32   [2001:db8::7]:443   10.0.0.53:53/udp
 *     example.org   *.example.org   registry.example.org:443   db (another container)   none
 *
 * With a port: by tcp, unless another protocol is named. `none` alone: nothing at all.
 */
import { invalidArgument } from '#api/errors/errors.ts'
import type { EgressRule } from '#sdk/iptables-wrapper/egress/egress-filter.ts'
import { disjointRules } from '#sdk/iptables-wrapper/egress/egress-ruleset.ts'
import type { TransportProtocol } from '#sdk/iptables-wrapper/firewall.ts'
import { addressBits, familyOf, parseAddress, parseSubnet, subnetOf } from '#sdk/network-addresses.ts'

export interface NameRule {
  /** Lower case, without a dot at the end. */
  readonly name: string
  /** Also names below it, and then not itself: `*.name`. */
  readonly below: boolean
  /** Undefined: all protocols and ports. */
  readonly port?: { readonly protocol: TransportProtocol; readonly number: number } | undefined
}

export interface EgressList {
  /** Without overlaps. */
  readonly subnets: readonly EgressRule[]
  readonly names: readonly NameRule[]
}

export const egressOption = 'gantry.network.egress'
const key = egressOption
const mostEntries = 1000
const highestPort = 65_535
const entryForm =
  /^(\[[0-9a-f:.]+\](?:\/\d+)?|[^\s:[\]]+?|[0-9a-f:.]*:[0-9a-f:.]*:[0-9a-f:.]*(?:\/\d+)?)(?::(\d+)(?:-(\d+))?(?:\/(tcp|udp|sctp))?)?$/i
const nameForm = /^(\*\.)?(?=.{1,253}$)[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?(?:\.[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?)*\.?$/i

/** Undefined: no list, everything is allowed. INVALID_ARGUMENT names the entry. */
export function readEgress(options: Readonly<Record<string, string>> | undefined): EgressList | undefined {
  const text = options?.[key] ?? ''
  const entries = text.split(/[\s,]+/).filter(entry => entry !== '')
  if (entries.length === 0) return undefined
  if (entries.length > mostEntries)
    throw invalidArgument(`options: ${key} has ${entries.length} entries, at most ${mostEntries} are taken`)
  if (entries.length === 1 && entries[0] === 'none') return { subnets: [], names: [] }
  const read = entries.map(readEntry)
  return {
    subnets: disjointRules(read.filter(entry => 'subnet' in entry)),
    names: read.filter(entry => 'name' in entry),
  }
}

function readEntry(entry: string): EgressRule | NameRule {
  const [, host = '', first, last = first, protocol = 'tcp'] = entryForm.exec(entry) ?? []
  const [firstPort, lastPort] = [Number(first ?? 0), Number(last ?? highestPort)]
  if (host === '' || firstPort > lastPort || lastPort > highestPort || (first !== undefined && firstPort < 1))
    throw refused(entry, 'is of none of the forms 10.0.0.0/8, [fd00::]/8:443, example.org:443/tcp')
  const ports = { firstPort, lastPort, ...(first && { protocol: protocol.toLowerCase() as TransportProtocol }) }
  const bare = host.replace(/[[\]]/g, '')
  if (/^[0-9.]+(\/\d+)?$/.test(bare) || bare.includes(':')) return { subnet: readSubnet(bare), ...ports }
  if (!nameForm.test(host)) throw refused(entry, 'is neither an address nor a name')
  if (first !== last) throw refused(entry, 'has a range of ports: a name takes one, or all')
  const name = host.toLowerCase().replace(/^\*\./, '').replace(/\.$/, '')
  return {
    name,
    below: host.startsWith('*.'),
    ...(first && { port: { protocol: ports.protocol ?? 'tcp', number: firstPort } }),
  }
}

function readSubnet(text: string): EgressRule['subnet'] {
  if (text.includes('/')) return parseSubnet(text, `options: ${key}: subnet`)
  const address = parseAddress(text, `options: ${key}: address`)
  return subnetOf(address, addressBits(familyOf(address)))
}

function refused(entry: string, why: string) {
  return invalidArgument(`options: ${key}: "${entry}" ${why}`)
}

export function fitsName({ name, below }: NameRule, asked: string): boolean {
  const wanted = asked.toLowerCase().replace(/\.$/, '')
  return below ? wanted.endsWith(`.${name}`) : wanted === name
}
