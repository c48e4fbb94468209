/** Passes the bytes of TCP connections on. A port that is closed keeps the connections it has, as the kernel's do. */
import { connect, createServer, type Socket } from 'node:net'
import type { PublishedPort } from '#sdk/iptables-wrapper/firewall.ts'
import type { Relay } from './loopback-relay.ts'

export async function relayTcp(host: string, port: PublishedPort): Promise<Relay> {
  const clients = new Set<Socket>()
  const server = createServer({ allowHalfOpen: true, pauseOnConnect: true }, client => {
    clients.add(client.on('close', () => clients.delete(client)))
    join(client, port)
  })
  await new Promise<void>((resolve, reject) => {
    server.on('error', reject).listen({ host, port: port.hostPort, exclusive: true }, resolve)
  })
  return {
    close: () => void server.close(),
    closeAll() {
      server.close()
      for (const client of clients) client.destroy()
    },
  }
}

/** Each direction ends by itself; an error, or the end of either socket, ends both. */
function join(client: Socket, { containerAddress, containerPort }: PublishedPort): void {
  const target = connect({ host: containerAddress, port: containerPort, allowHalfOpen: true })
  const end = () => {
    client.destroy()
    target.destroy()
  }
  client.on('error', end).on('close', end)
  target.on('error', end).on('close', end)
  target.once('connect', () => {
    client.pipe(target).pipe(client)
    client.resume()
  })
}
