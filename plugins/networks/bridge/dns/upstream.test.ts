import assert from 'node:assert/strict'
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { type AddressInfo, createServer } from 'node:net'
import { test } from 'node:test'
import * as packet from 'dns-packet'
import { readFrames, writeFrame } from './tcp-frames.ts'
import { Upstream } from './upstream.ts'

/** Response codes: RFC 1035 4.1.1. */
const [noError, servFail, nxDomain, refused] = [0, 2, 3, 5]

/** A name server at a loopback address, and which questions it got. It answers with a response code, or not at all. */
async function server(address: string, port: number, says: number | 'nothing' = noError) {
  const socket = createSocket('udp4')
  const asked: string[] = []
  socket.on('message', (bytes, from) => {
    const { id = 0, questions = [] } = packet.decode(bytes)
    asked.push(questions[0]?.name ?? '')
    if (says === 'nothing') return
    const response = packet.encode({ type: 'response', id, flags: says, questions })
    socket.send(response, from.port, from.address)
  })
  await new Promise<void>(resolve => socket.bind(port, address, resolve))
  return { asked, port: socket.address().port, [Symbol.dispose]: () => void socket.close() }
}

const query = (id: number) => packet.encode({ type: 'query', id, questions: [{ type: 'A', name: `q${id}.example` }] })

test('a server that does not answer is waited for once, and asked last from then on', async () => {
  using mute = await server('127.0.9.1', 0, 'nothing')
  using good = await server('127.0.9.2', mute.port)
  const upstream = new Upstream({ port: mute.port })
  const servers = ['127.0.9.1', '127.0.9.2']
  for (let id = 1; id <= 20; id++) {
    const answer = await upstream.ask(query(id), servers, 'udp')
    assert.equal(packet.decode(answer).id, id)
  }
  assert.deepEqual([mute.asked.length, good.asked.length], [1, 20])
})

test('when the good one goes, the silent one is asked again', async () => {
  using first = await server('127.0.9.3', 0, 'nothing')
  const upstream = new Upstream({ port: first.port })
  const servers = ['127.0.9.3', '127.0.9.4']
  await assert.rejects(upstream.ask(query(1), servers, 'udp'), /no name server answers: 127\.0\.9\.3 .*127\.0\.9\.4/)
  using second = await server('127.0.9.4', first.port)
  assert.equal(packet.decode(await upstream.ask(query(2), servers, 'udp')).id, 2)
  assert.equal(second.asked.length, 1)
})

test('a server that cannot tell is not the last one asked; one that knows of no such name is', async () => {
  using failing = await server('127.0.9.5', 0, servFail)
  using refusing = await server('127.0.9.6', failing.port, refused)
  using knowing = await server('127.0.9.7', failing.port, nxDomain)
  using unasked = await server('127.0.9.8', failing.port)
  const upstream = new Upstream({ port: failing.port })
  const codeOf = async (id: number, ...last: string[]) => {
    const servers = ['127.0.9.5', '127.0.9.6', ...last]
    return (await upstream.ask(query(id), servers, 'udp')).readUInt8(3) & 15
  }
  assert.equal(await codeOf(1, '127.0.9.7', '127.0.9.8'), nxDomain)
  assert.equal(await codeOf(2), servFail, 'what the first one said')
  assert.deepEqual(
    [failing, refusing, knowing, unasked].map(({ asked }) => asked.length),
    [2, 2, 1, 0],
  )
})

test('of many servers the first that is alive is asked, by tcp too, and each question is answered', async () => {
  const frames = createServer(client =>
    readFrames(client, bytes => {
      const { id = 0, questions = [] } = packet.decode(bytes)
      writeFrame(client, packet.encode({ type: 'response', id, questions }))
    }),
  ).listen(0, '127.0.9.9')
  await once(frames, 'listening')
  const { port } = frames.address() as AddressInfo
  const upstream = new Upstream({ port })
  const servers = ['127.0.9.10', '127.0.9.11', '127.0.9.9']
  const ids = Array.from({ length: 50 }, (_, i) => i + 1)
  const answers = await Promise.all(ids.map(id => upstream.ask(query(id), servers, 'tcp')))
  assert.deepEqual(
    answers.map(answer => packet.decode(answer).questions?.[0]?.name),
    ids.map(id => `q${id}.example`),
  )
  frames.close()
})
