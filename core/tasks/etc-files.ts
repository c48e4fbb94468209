/** /etc/hosts, /etc/resolv.conf and /etc/hostname of a launched container, as Docker writes them. */
import { link, mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { hostname as hostName } from 'node:os'
import type { ContainerConfig } from '#api/gen/gantry/services/containers/v1/containers.ts'
import type { Places } from '#core/launch/launch.ts'
import type { AttachmentRecord, Dns } from '#core/networks/networks.ts'

export interface EtcFacts {
  config: ContainerConfig
  hostname: string
  /** The container uses the network of the host. */
  sharesHost: boolean
  attachments: readonly AttachmentRecord[]
  /** Further lines of /etc/hosts (link-hosts.ts). */
  links?: readonly string[]
}

/** Used when the host's own name servers cannot be reached from a network namespace (Docker's choice). */
const fallbackNameservers = ['8.8.8.8', '8.8.4.4']

/** The files are written in place: a running container that has them mounted sees the change. */
export async function writeEtcFiles(places: Places, facts: EtcFacts): Promise<void> {
  await mkdir(places.directory, { recursive: true, mode: 0o700 })
  const [hosts, resolvConf] = await Promise.all([hostsText(facts), resolvConfText(facts)])
  await Promise.all([
    writeFile(places.hosts, hosts, { mode: 0o644 }),
    writeFile(places.resolvConf, resolvConf, { mode: 0o644 }),
    writeFile(places.hostname, `${facts.hostname}\n`, { mode: 0o644 }),
  ])
}

/** For a container in another one's network namespace: the very same files, so that both see later changes. */
export async function shareEtcFiles(from: Places, to: Places, hostname: string): Promise<void> {
  await mkdir(to.directory, { recursive: true, mode: 0o700 })
  const share = async (source: string, target: string) => {
    await rm(target, { force: true })
    await link(source, target)
  }
  await Promise.all([
    share(from.hosts, to.hosts),
    share(from.resolvConf, to.resolvConf),
    writeFile(to.hostname, `${hostname}\n`, { mode: 0o644 }),
  ])
}

async function hostsText(facts: EtcFacts): Promise<string> {
  const gateways = hostGateways(facts)
  const extra = facts.config.extraHosts.flatMap(entry => extraHostLines(entry, gateways))
  if (facts.sharesHost) return [(await readHostFile('/etc/hosts')).trimEnd(), ...extra, ''].join('\n')
  const { domainname } = facts.config
  const names = [...(domainname ? [`${facts.hostname}.${domainname}`] : []), facts.hostname].join(' ')
  const own = facts.attachments.flatMap(({ result, aliases }) =>
    result.ips.map(({ address }) => `${address.split('/')[0]}\t${[names, ...aliases].join(' ')}`),
  )
  return [...localLines, ...extra, ...(facts.links ?? []), ...own, ''].join('\n')
}

const localLines = [
  '127.0.0.1\tlocalhost',
  '::1\tlocalhost ip6-localhost ip6-loopback',
  'fe00::\tip6-localnet',
  'ff00::\tip6-mcastprefix',
  'ff02::1\tip6-allnodes',
  'ff02::2\tip6-allrouters',
]

/** "name:address", where the address may have colons of its own, or be `host-gateway`: the host as the container sees it. */
function extraHostLines(entry: string, gateways: readonly string[]): string[] {
  const colon = entry.indexOf(':')
  const [name, address] = [entry.slice(0, colon), entry.slice(colon + 1)]
  const addresses = address === 'host-gateway' ? gateways : [address]
  return addresses.map(each => `${each}\t${name}`)
}

/** The gateways of the network whose default route is used; on the host itself its loopback. */
function hostGateways({ sharesHost, attachments }: EtcFacts): string[] {
  if (sharesHost) return ['127.0.0.1']
  const metric = ({ result }: AttachmentRecord) => Math.min(...result.routes.map(({ priority }) => priority))
  const outward = attachments.filter(({ result }) => result.routes.length > 0).sort((a, b) => metric(a) - metric(b))
  return (outward[0]?.result.ips ?? []).map(({ gateway }) => gateway).filter(gateway => gateway !== '')
}

async function resolvConfText({ config, sharesHost, attachments }: EtcFacts): Promise<string> {
  const host = await readHostFile('/etc/resolv.conf')
  const asked = mergeDns(withoutOvertaken([config.dns, ...attachments.map(({ result }) => result.dns)]))
  if (sharesHost && asked.length === 0) return host
  const kept = host.split('\n').filter(line => keepsHostLine(line, asked, sharesHost))
  const lines = [...asked, ...kept]
  const hasServer = lines.some(line => line.startsWith('nameserver '))
  const servers = hasServer ? [] : fallbackNameservers.map(address => `nameserver ${address}`)
  return [...servers, ...lines.filter(line => line.trim() !== ''), ''].join('\n')
}

/** A wish replaces the host's lines of its kind; a name server on the host's loopback cannot be reached from elsewhere. */
function keepsHostLine(line: string, asked: string[], sharesHost: boolean): boolean {
  const [keyword = '', value = ''] = line.trim().split(/\s+/)
  if (!['nameserver', 'search', 'options', 'domain'].includes(keyword)) return false
  if (asked.some(wish => wish.startsWith(`${keyword} `))) return false
  return sharesHost || keyword !== 'nameserver' || !(value.startsWith('127.') || value === '::1')
}

/**
 * A network's resolver on the container's own loopback knows the container's other name servers, and asks them itself;
 * all others, which know nothing of the network, would be asked beside it.
 */
function withoutOvertaken(sources: readonly (Dns | undefined)[]): (Dns | undefined)[] {
  const inside = sources.flatMap(dns => dns?.nameservers.filter(address => address.startsWith('127.')) ?? [])
  if (inside.length === 0) return [...sources]
  return sources.map(dns => dns && { ...dns, nameservers: dns.nameservers.filter(address => inside.includes(address)) })
}

function mergeDns(sources: readonly (Dns | undefined)[]): string[] {
  const some = sources.filter(source => source !== undefined)
  const all = (pick: (dns: Dns) => string[]) => [...new Set(some.flatMap(pick))]
  // The container's wish comes first: a network's `ndots` does not overrule it, as the last one would.
  const options = Map.groupBy(
    all(dns => dns.options),
    option => option.split(':')[0],
  )
  const search = all(dns => dns.search)
  return [
    ...all(dns => dns.nameservers).map(address => `nameserver ${address}`),
    ...(search.length > 0 ? [`search ${search.join(' ')}`] : []),
    ...(options.size > 0 ? [`options ${[...options.values()].map(([first]) => first).join(' ')}`] : []),
  ]
}

async function readHostFile(path: string): Promise<string> {
  return readFile(path, 'utf8').catch(() => '')
}

/** The container's own name, or that of the host it shares. */
export function effectiveHostname(config: ContainerConfig): string {
  return config.utsMode === 'host' ? hostName() : config.hostname || config.id.slice(0, 12)
}
