/** Whether a port of the host is free, and who has it when it is not. */
import { createSocket } from 'node:dgram'
import { readdir, readFile, readlink } from 'node:fs/promises'
import { createServer } from 'node:net'
import type { PublishedPort } from '#sdk/iptables-wrapper/firewall.ts'
import { formatIpv4 } from '#sdk/network-addresses.ts'

export type HostPort = Pick<PublishedPort, 'protocol' | 'hostAddress' | 'hostPort'>

/**
 * Takes the port for an instant, as a program would. Answers the errno that refused it (EADDRINUSE, EADDRNOTAVAIL: no
 * such address here), undefined when it is free. sctp is not probed: Node has no such sockets.
 */
export async function probePort({ protocol, hostAddress, hostPort }: HostPort): Promise<string | undefined> {
  const address = formatIpv4(hostAddress)
  try {
    if (protocol === 'tcp') await bindTcp(address, hostPort)
    if (protocol === 'udp') await bindUdp(address, hostPort)
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
    server.listen({ host, port, exclusive: true }, () => server.close(() => resolve()))
  })
}

function bindUdp(address: string, port: number): Promise<void> {
  const socket = createSocket('udp4')
  return new Promise((resolve, reject) => {
    socket.once('error', error => {
      socket.close()
      reject(error)
    })
    socket.bind({ address, port, exclusive: true }, () => socket.close(() => resolve()))
  })
}

/** The process with a socket on the port, such as `process nginx (pid 12)`; only for messages: it reads all of /proc. */
export async function describeHolder({ protocol, hostPort }: HostPort): Promise<string> {
  const inodes = new Set(
    (await Promise.all([socketInodes(protocol, hostPort), socketInodes(`${protocol}6`, hostPort)])).flat(),
  )
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
