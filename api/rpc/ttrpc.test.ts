import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { createConnection } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { invalidArgument, isGantryError } from '../errors/errors.ts'
import { EventsDefinition, type ForwardRequest } from '../gen/containerd/services/events/ttrpc/v1/events.ts'
import { VersionDefinition } from '../gen/containerd/services/version/v1/version.ts'
import { TaskDefinition } from '../gen/containerd/task/v2/task.ts'
import { createLogger } from '../log/log.ts'
import { connectTtrpc, createTtrpcClient, createTtrpcServer } from './ttrpc.ts'
import { decodeRequest, encodeFrame, encodeRequest, maxPayloadBytes, TtrpcFrameReader } from './ttrpc-wire.ts'

const dir = await mkdtemp(join(tmpdir(), 'gantry-ttrpc-'))
after(() => rm(dir, { recursive: true, force: true }))
const logger = createLogger({ name: 'test', level: 'silent' })

async function eventsServer(
  name: string,
  forward: (request: ForwardRequest, namespace: string | undefined) => Promise<object>,
) {
  const server = createTtrpcServer({ logger })
  server.add(EventsDefinition, { forward: (request, context) => forward(request, context.optionalNamespace) })
  const path = join(dir, name)
  await server.listen(path)
  return { path, server, [Symbol.asyncDispose]: () => server.close() }
}

test('calls arrive with message and namespace, in the order sent; a slow one holds nobody up', async () => {
  const seen: string[] = []
  const slow = Promise.withResolvers<object>()
  await using events = await eventsServer('order', async ({ envelope }, namespace) => {
    seen.push(`${namespace} ${envelope?.topic}`)
    return envelope?.topic === '/slow' ? slow.promise : {}
  })
  using channel = connectTtrpc(`unix://${events.path}`, { namespace: 'moby' })
  const client = createTtrpcClient(EventsDefinition, channel)
  const waiting = client.forward({ envelope: { topic: '/slow' } })
  await Promise.all(['/b', '/c'].map(topic => client.forward({ envelope: { topic } })))
  assert.deepEqual(seen, ['moby /slow', 'moby /b', 'moby /c'])
  slow.resolve({})
  await waiting
})

test('an answer longer than a frame may be is refused, and the connection goes on', async () => {
  const server = createTtrpcServer({ logger })
  server.add(VersionDefinition, { version: async () => ({ version: 'x'.repeat(maxPayloadBytes) }) })
  const path = join(dir, 'long')
  await server.listen(path)
  using channel = connectTtrpc(path)
  await assert.rejects(createTtrpcClient(VersionDefinition, channel).version({}), { code: 'RESOURCE_EXHAUSTED' })
  await assert.rejects(createTtrpcClient(EventsDefinition, channel).forward({}), { code: 'NOT_IMPLEMENTED' })
  await server.close()
})

test('errors keep their code; unknown methods are not implemented', async () => {
  await using events = await eventsServer('errors', async () => {
    throw invalidArgument('topic "x"')
  })
  using channel = connectTtrpc(events.path)
  await assert.rejects(createTtrpcClient(EventsDefinition, channel).forward({}), {
    code: 'INVALID_ARGUMENT',
    message: 'topic "x": invalid argument',
  })
  await assert.rejects(createTtrpcClient(TaskDefinition, channel).connect({ id: 'x' }), { code: 'NOT_IMPLEMENTED' })
})

test('nobody there, and a server that goes away, are UNAVAILABLE; the next call connects anew', async () => {
  using channel = connectTtrpc(join(dir, 'late'))
  const client = createTtrpcClient(EventsDefinition, channel)
  await assert.rejects(
    client.forward({}),
    error => isGantryError(error, 'UNAVAILABLE') && error.message.includes('ENOENT'),
  )
  {
    await using events = await eventsServer('late', () => new Promise(() => {}))
    const call = client.forward({})
    setTimeout(() => void events.server.close(), 20)
    await assert.rejects(call, { code: 'UNAVAILABLE' })
  }
  await using _ = await eventsServer('late', async () => ({}))
  await client.forward({})
})

test('a deadline and a signal end the waiting', async () => {
  await using events = await eventsServer('slow', () => new Promise(() => {}))
  using channel = connectTtrpc(events.path)
  const client = createTtrpcClient(EventsDefinition, channel)
  await assert.rejects(client.forward({}, { deadlineMs: 20 }), { code: 'DEADLINE_EXCEEDED' })
  await assert.rejects(client.forward({}, { signal: AbortSignal.timeout(20) }), { code: 'CANCELED' })
  // Nothing is kept of them: the connection holds the process while a call is waited for, and no longer.
  const holding = () => process.getActiveResourcesInfo().filter(name => name === 'PipeWrap').length
  const idle = holding()
  const late = client.forward({}, { deadlineMs: 20 })
  assert.equal(holding(), idle + 1)
  await assert.rejects(late, { code: 'DEADLINE_EXCEEDED' })
  assert.equal(holding(), idle)
})

test('frames are found whatever the cuts, and an endless one closes the connection', async () => {
  const message = encodeRequest({
    service: 's',
    method: 'm',
    payload: Buffer.from('p'),
    timeoutNano: 5n,
    metadata: [['k', 'v']],
  })
  const bytes = Buffer.concat([encodeFrame(1, 1, message), encodeFrame(3, 1, message)])
  const reader = new TtrpcFrameReader()
  const frames = [...bytes].flatMap(byte => [...reader.push(Buffer.from([byte]))])
  assert.deepEqual(
    frames.map(frame => frame.streamId),
    [1, 3],
  )
  assert.deepEqual(decodeRequest(frames[1]?.payload ?? Buffer.alloc(0)), {
    service: 's',
    method: 'm',
    payload: Buffer.from('p'),
    timeoutNano: 5n,
    metadata: [['k', 'v']],
  })
  await using events = await eventsServer('endless', async () => ({}))
  const socket = createConnection(events.path)
  const header = Buffer.alloc(10)
  header.writeUInt32BE(maxPayloadBytes + 1, 0)
  socket.write(header)
  await new Promise(resolve => socket.on('close', resolve))
})
