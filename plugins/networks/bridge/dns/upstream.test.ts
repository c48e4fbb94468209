import assert from 'node:assert/strict'
import { createSocket } from 'node:dgram'
import { test } from 'node:test'
import * as packet from 'dns-packet'
import { Upstream } from './upstream.ts'

/** A name server at a loopback address, and how many questions it got; a mute one takes them and says nothing. */
async function server(address: string, port: number, isMute = false) {
  const socket = createSocket('udp4')
  const asked: string[] = []
  socket.on('message', (bytes, from) => {
    const { id = 0, questions = [] } = packet.decode(bytes)
    asked.push(questions[0]?.name ?? '')
    if (!isMute) socket.send(packet.encode({ type: 'response', id, questions }), from.port, from.address)
  })
  await new Promise<void>(resolve => socket.bind(port, address, resolve))
  return { asked, port: socket.address().port, [Symbol.dispose]: () => void socket.close() }
}

const query = (id: number) => packet.encode({ type: 'query', id, questions: [{ type: 'A', name: `q${id}.example` }] })

test('a server that does not answer is waited for once, and asked last from then on', async () => {
  using mute = await server('127.0.9.1', 0, true)
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
  using first = await server('127.0.9.3', 0, true)
  const upstream = new Upstream({ port: first.port })
  const servers = ['127.0.9.3', '127.0.9.4']
  await assert.rejects(upstream.ask(query(1), servers, 'udp'), /no name server answers: 127\.0\.9\.3 .*127\.0\.9\.4/)
  using second = await server('127.0.9.4', first.port)
  assert.equal(packet.decode(await upstream.ask(query(2), servers, 'udp')).id, 2)
  assert.equal(second.asked.length, 1)
})
