/** Settings of the host's kernel (sysctls) that bridges need. */
import { existsSync } from 'node:fs'
import { readdir, readFile, writeFile } from 'node:fs/promises'
import { invalidArgument } from '#api/errors/errors.ts'
import type { Logger } from '#api/log/log.ts'
import type { Family } from '#sdk/network-addresses.ts'

const net = '/proc/sys/net'

/** False where the kernel was told to have no IPv6: networks have IPv4 alone then. */
export async function hasIpv6(): Promise<boolean> {
  return (await read(`${net}/ipv6/conf/all/disable_ipv6`)) === '0'
}

/** What a bridge is told before it gets its addresses. */
export async function prepareLink(bridge: string, families: readonly Family[]): Promise<void> {
  const has6 = families.includes(6)
  // Published ports are reached through 127.0.0.1 too; the firewall keeps the containers out of it.
  if (families.includes(4)) await set(`${net}/ipv4/conf/${bridge}/route_localnet`, '1')
  const own6 = `${net}/ipv6/conf/${bridge}`
  if (!(await hasIpv6())) return
  if (!existsSync(own6)) {
    // The kernel has no IPv6 on links whose packets are too short for it (RFC 8200, 5).
    if (has6) throw invalidArgument(`bridge ${bridge}: IPv6 needs an MTU of at least 1280 bytes`)
    return
  }
  await set(`${own6}/disable_ipv6`, has6 ? '0' : '1')
  if (!has6) return
  // A container must not tell the host where the world is.
  await set(`${own6}/accept_ra`, '0')
  // While its link-local address is being looked for elsewhere (a second), a bridge asks for no neighbour to forward to.
  await set(`${own6}/accept_dad`, '0')
}

export interface LinkSetting {
  /** As sysctl(8) names it. */
  readonly name: string
  readonly value: string
  set(): Promise<void>
}

/** Settings of a bridge that open more than its families need: left from other families, or changed by others. */
export async function strayLinkSettings(bridge: string, families: readonly Family[]): Promise<LinkSetting[]> {
  const wanted: readonly [path: string, value: string][] = [
    [`ipv4/conf/${bridge}/route_localnet`, families.includes(4) ? '1' : '0'],
    [`ipv6/conf/${bridge}/disable_ipv6`, families.includes(6) ? '0' : '1'],
    ...(families.includes(6) ? [[`ipv6/conf/${bridge}/accept_ra`, '0'] as const] : []),
  ].map(([path = '', value = '']) => [path, value])
  const found: LinkSetting[] = []
  for (const [path, value] of wanted) {
    const now = await read(`${net}/${path}`)
    if (now === undefined || now === value) continue
    const name = `net.${path.replaceAll('/', '.')}`
    found.push({ name, value: now, set: async () => void (await set(`${net}/${path}`, value)) })
  }
  return found
}

/** Turns IP forwarding on where it is off, and says so: it changes what the host is. */
export async function forwardPackets(families: readonly Family[], log: Logger): Promise<void> {
  if (families.includes(4) && (await set(`${net}/ipv4/ip_forward`, '1')))
    log.warn({ sysctl: 'net.ipv4.ip_forward' }, 'turned IP forwarding on: the host now routes packets')
  if (!families.includes(6) || (await read(`${net}/ipv6/conf/all/forwarding`)) === '1') return
  const kept = await keepRouterAdvertisements()
  if (await set(`${net}/ipv6/conf/all/forwarding`, '1'))
    log.warn(
      { sysctl: 'net.ipv6.conf.all.forwarding', acceptRa: kept },
      'turned IPv6 forwarding on: the host now routes packets',
    )
}

/**
 * A host that forwards ignores router advertisements (accept_ra 1), and would lose its own default route. With 2 it
 * listens all the same. Answers the links that were told so.
 */
async function keepRouterAdvertisements(): Promise<string[]> {
  const links = (await readdir(`${net}/ipv6/conf`)).filter(name => name !== 'all' && name !== 'lo')
  const told = []
  for (const link of links) {
    const path = `${net}/ipv6/conf/${link}/accept_ra`
    if ((await read(path)) === '1' && (await set(path, '2'))) told.push(link)
  }
  return told
}

/** Undefined where there is no such setting. */
async function read(path: string): Promise<string | undefined> {
  return await readFile(path, 'utf8').then(
    text => text.trim(),
    () => undefined,
  )
}

/** True when the value had to be changed. */
async function set(path: string, value: string): Promise<boolean> {
  if ((await read(path)) === value) return false
  await writeFile(path, value)
  return true
}
