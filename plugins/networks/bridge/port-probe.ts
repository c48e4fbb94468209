/** Whether a port of the host is free, and who has it when it is not. */
import { createSocket } from 'node:dgram'
import { readdir, readFile, readlink } from 'node:fs/promises'
import { createServer } from 'node:net'
import type { PublishedPort } from '#sdk/iptables-wrapper/firewall.ts'
import { familyOf } from '#sdk/network-addresses.ts'
import { boundSockets } from './socket-table.ts'

/** A range of ports of the host. */
export type HostPort = Pick<PublishedPort, 'protocol' | 'hostAddress' | 'hostPort' | 'count'>

/** Up to so many ports are tried one by one; for more, the kernel is asked once for all sockets. */
const mostTried = 8

export interface Refusal {
  readonly hostPort: number
  /** EADDRINUSE, EADDRNOTAVAIL (no such address here), EACCES … */
  readonly code: string
}

/**
 * Tries ports as a program would that binds them. Answers the first refusal, undefined when all are free.
 * sctp is looked up in the kernel's table only: Node has no such sockets.
 */
export async function probePorts(port: HostPort): Promise<Refusal | undefined> {
  const { protocol, hostAddress, hostPort, count } = port
  if (protocol !== 'sctp') {
    // An address that the host has not is found out by any port of it.
    const tried = count > mostTried ? [0] : Array.from({ length: count }, (_, i) => hostPort + i)
    for (const number of tried) {
      const code = await bindFor(protocol, hostAddress, number)
      if (code !== undefined) return { hostPort: number, code }
    }
    if (count <= mostTried) return undefined
  }
  const taken = (await boundSockets(port)).find(number => number >= hostPort && number < hostPort + count)
  return taken === undefined ? undefined : { hostPort: taken, code: 'EADDRINUSE' }
}

/** Takes the port for an instant. */
async function bindFor(protocol: 'tcp' | 'udp', address: string, port: number): Promise<string | undefined> {
  try {
    await (protocol === 'tcp' ? bindTcp(address, port) : bindUdp(address, port))
    return undefined
  } catch (error) {
    if (error instanceof Error && 'code' in error) return String(error.code)
    throw error
  }
}

function bindTcp(host: string, port: number): Promise<void> {
  const server = createServer(socket => socket.destroy())
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen({ host, port, exclusive: true, ipv6Only: true }, () => server.close(() => resolve()))
  })
}

function bindUdp(address: string, port: number): Promise<void> {
  const socket = createSocket(familyOf(address) === 4 ? { type: 'udp4' } : { type: 'udp6', ipv6Only: true })
  return new Promise((resolve, reject) => {
    socket.once('error', error => {
      socket.close()
      reject(error)
    })
    socket.bind({ address, port, exclusive: true }, () => socket.close(() => resolve()))
  })
}

/** The process with a socket on the port, such as `process nginx (pid 12)`; only for messages: it reads all of /proc. */
export async function describeHolder(protocol: PublishedPort['protocol'], hostPort: number): Promise<string> {
  const tables = [socketInodes(protocol, hostPort), socketInodes(`${protocol}6`, hostPort)]
  const inodes = new Set((await Promise.all(tables)).flat())
  for (const pid of (await readdir('/proc')).filter(name => /^\d+$/.test(name)))
    if (inodes.size > 0 && (await hasSocket(pid, inodes)))
      return `process ${(await readFile(`/proc/${pid}/comm`, 'utf8').catch(() => '?')).trim()} (pid ${pid})`
  return 'a process that cannot be seen from here'
}

/** Inodes of the sockets bound to the port: proc(5), /proc/net/tcp. */
async function socketInodes(table: string, port: number): Promise<string[]> {
  const text = await readFile(`/proc/net/${table}`, 'utf8').catch(() => '')
  const suffix = `:${port.toString(16).toUpperCase().padStart(4, '0')}`
  return text
    .split('\n')
    .slice(1)
    .map(line => line.trim().split(/\s+/))
    .filter(([, local, remote]) => local?.endsWith(suffix) && remote?.endsWith(':0000'))
    .flatMap(columns => columns[9] ?? [])
}

async function hasSocket(pid: string, inodes: ReadonlySet<string>): Promise<boolean> {
  const descriptors = await readdir(`/proc/${pid}/fd`).catch(() => [])
  for (const descriptor of descriptors) {
    const target = await readlink(`/proc/${pid}/fd/${descriptor}`).catch(() => '')
    const [, inode] = /^socket:\[(\d+)\]$/.exec(target) ?? []
    if (inode !== undefined && inodes.has(inode)) return true
  }
  return false
}
