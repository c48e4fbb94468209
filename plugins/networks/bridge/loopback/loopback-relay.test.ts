/** ::1 stands for the container too: what is passed on, to whom answers go, and what is left of a closed port. */
import assert from 'node:assert/strict'
import { createSocket, type Socket } from 'node:dgram'
import { once } from 'node:events'
import { readdirSync } from 'node:fs'
import { type AddressInfo, connect, createServer } from 'node:net'
import { networkInterfaces } from 'node:os'
import { test } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import { createLogger } from '#api/log/log.ts'
import type { PublishedPort } from '#sdk/iptables-wrapper/firewall.ts'
import { LoopbackRelay } from './loopback-relay.ts'

const log = createLogger({ name: 'relay', level: 'error' })
const isHere = Object.values(networkInterfaces()).some(found => found?.some(({ address }) => address === '::1'))
const skip = isHere ? false : 'this host has no ::1'

test('udp: each client gets its own answers, and the port is free afterwards', { skip }, async () => {
  await using server = await bound()
  server.socket.on('message', (bytes, from) => server.socket.send(`${bytes}, ${from.port}`, from.port, from.address))
  const port = await published('udp', server.port)
  const relay = new LoopbackRelay(log)
  await relay.open([port])
  await using one = await bound()
  await using two = await bound()
  const ask = async (client: Bound, text: string) => {
    client.socket.send(text, port.hostPort, '::1')
    return String((await once(client.socket, 'message'))[0])
  }
  const [first, second] = await Promise.all([ask(one, 'one'), ask(two, 'two')])
  assert.match(first, /^one, \d+$/)
  assert.match(second, /^two, \d+$/)
  assert.notEqual(first.slice(5), second.slice(5), 'the server knows them apart')
  assert.equal(await ask(one, 'one'), first, 'and knows them again')
  assert.equal(await ask(two, 'x'.repeat(9000)), second.replace('two', 'x'.repeat(9000)))
  relay.close([port])
  await using again = await bound(port.hostPort)
  assert.equal(again.port, port.hostPort)
})

test('udp: of more clients than a port may have, the one that was silent longest is let go', { skip }, async () => {
  await using server = await bound()
  const known = new Set<number>()
  server.socket.on('message', (bytes, from) => {
    known.add(from.port)
    server.socket.send(bytes, from.port, from.address)
  })
  const port = await published('udp', server.port)
  const relay = new LoopbackRelay(log)
  await relay.open([port])
  const before = openFiles()
  const clients: Bound[] = []
  for (let i = 0; i < 300; i++) {
    const client = await bound()
    clients.push(client)
    client.socket.send('?', port.hostPort, '::1')
    await once(client.socket, 'message')
  }
  assert.equal(known.size, 300)
  assert.equal(openFiles() - before - clients.length, 256)
  relay.close([port])
  await until(() => openFiles() === before + clients.length - 1)
  for (const client of clients) await client[Symbol.asyncDispose]()
})

test('tcp: a port that is closed takes nobody new, and keeps whom it has', { skip }, async () => {
  const server = createServer({ allowHalfOpen: true }, client => client.pipe(client)).listen(0, '::1')
  await once(server, 'listening')
  const port = await published('tcp', (server.address() as AddressInfo).port)
  const relay = new LoopbackRelay(log)
  await relay.open([port])
  const client = connect(port.hostPort, '::1')
  client.write('before')
  assert.equal(String((await once(client, 'data'))[0]), 'before')
  relay.close([port])
  client.write('after')
  assert.equal(String((await once(client, 'data'))[0]), 'after')
  await assert.rejects(once(connect(port.hostPort, '::1'), 'connect'), { code: 'ECONNREFUSED' })
  client.end()
  await once(client, 'close')
  server.close()
})

test('a port that somebody has is left to them, and said', { skip }, async () => {
  await using holder = await bound()
  const said: unknown[] = []
  const relay = new LoopbackRelay({ ...log, warn: (about: unknown) => void said.push(about) } as typeof log)
  const port = { ...(await published('udp', 9)), hostPort: holder.port }
  await relay.open([port])
  assert.deepEqual(said, [{ port: `${holder.port}/udp`, reason: `bind EADDRINUSE ::1:${holder.port}` }])
  relay.close([port])
})

test('sctp, large ranges and other addresses are not listened on', { skip }, async () => {
  const relay = new LoopbackRelay(log)
  const port = await published('udp', 9)
  const before = openFiles()
  const others = [{ protocol: 'sctp' as const }, { count: 65 }, { hostAddress: '0.0.0.0' }, { hostAddress: 'fd00::1' }]
  await relay.open(others.map(other => ({ ...port, ...other })))
  assert.equal(openFiles(), before)
  await relay.open([port])
  assert.equal(openFiles(), before + 1)
  relay.closeAll()
})

function openFiles(): number {
  return readdirSync('/proc/self/fd').length
}

/** A socket that is closed is there for another turn or two. */
async function until(condition: () => boolean): Promise<void> {
  for (const deadline = Date.now() + 10_000; !condition(); await setImmediate()) assert.ok(Date.now() < deadline)
}

interface Bound extends AsyncDisposable {
  readonly socket: Socket
  readonly port: number
}

async function bound(port = 0): Promise<Bound> {
  const socket = createSocket({ type: 'udp6', ipv6Only: true })
  await new Promise<void>(resolve => socket.bind(port, '::1', resolve))
  const close = () => new Promise<void>(resolve => socket.close(resolve))
  return { socket, port: socket.address().port, [Symbol.asyncDispose]: close }
}

/** A port that was free a moment ago, published to one of ::1. */
async function published(protocol: 'tcp' | 'udp', containerPort: number): Promise<PublishedPort> {
  const probe = await bound()
  await probe[Symbol.asyncDispose]()
  const place = { containerAddress: '::1', containerPort, count: 1 }
  return { protocol, hostAddress: '::1', hostPort: probe.port, ...place }
}
