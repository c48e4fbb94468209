import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { VersionDefinition } from '../gen/containerd/services/version/v1/version.ts'
import { createLogger } from '../log/log.ts'
import { CollectedSpans } from '../trace/collected-spans.ts'
import { decodeExport } from '../trace/otlp.ts'
import { openRequest, type SpanRecord, spanKind, step } from '../trace/spans.ts'
import { traceparentOf } from '../trace/trace-context.ts'
import { connect, createClient } from './client.ts'
import { createRpcServer, type ServerTracing } from './server.ts'
import { connectTtrpc, createTtrpcClient, createTtrpcServer } from './ttrpc.ts'

const logger = createLogger({ name: 'test', level: 'error' })
const parent = { traceId: '0af7651916cd43dd8448eb211c80319c', spanId: 'b7ad6b7169203331' }
const name = 'containerd.services.version.v1.Version/Version'
const answering = { version: async () => step('look it up', async () => ({ version: '1', revision: '' })) }

interface Served extends AsyncDisposable {
  readonly path: string
}

async function served(tracing?: ServerTracing): Promise<Served> {
  const folder = await mkdtemp(join(tmpdir(), 'tr-'))
  const path = join(folder, 's')
  const server = createRpcServer({ logger, ...(tracing && { tracing }) })
  server.add(VersionDefinition, answering)
  await server.listen(path)
  return {
    path,
    async [Symbol.asyncDispose]() {
      await server.shutdown(0)
      await rm(folder, { recursive: true })
    },
  }
}

const namesOf = (spans: readonly SpanRecord[]) => spans.map(span => span.name)

test("a server with a sink records the calls that bring a sampled traceparent, as children of the caller's span", async () => {
  const sink = new CollectedSpans()
  await using server = await served({ service: 'test', sink })
  using channel = connect(server.path)
  const client = createClient(VersionDefinition, channel)
  await client.version({})
  await client.version({}, { headers: { traceparent: traceparentOf(parent).replace(/1$/, '0') } })
  await client.version({}, { headers: { traceparent: 'nonsense' } })
  assert.deepEqual(sink.take().own, [])

  await client.version({}, { headers: { traceparent: traceparentOf(parent) } })
  const own = new Map(sink.take().own.map(span => [span.name, span]))
  assert.deepEqual([...own.keys()], ['load the tracer', 'receive the request', 'look it up', 'send the answer', name])
  const [inner, outer] = [own.get('look it up'), own.get(name)]
  assert.equal(outer?.parentId, parent.spanId)
  assert.equal(inner?.parentId, outer?.spanId)
  assert.ok([...own.values()].every(span => span.traceId === parent.traceId))
  assert.ok(outer && inner && outer.startNs <= inner.startNs && inner.endNs <= outer.endNs)
})

test('a server without a sink gives its spans back with the answer, to those who ask', async () => {
  await using server = await served({ service: 'plugin/test' })
  using channel = connect(server.path)
  const client = createClient(VersionDefinition, channel)
  const sink = new CollectedSpans()
  const request = openRequest({ parent, name: 'request', kind: spanKind.server, sink })
  await request.run(() => client.version({}))
  request.end()
  const { own, foreign } = sink.take()
  assert.deepEqual(namesOf(own), [name, 'request'])
  const [theirs] = foreign.flatMap(decodeExport)
  const spans = theirs?.scopeSpans.flatMap(scope => scope.spans) ?? []
  assert.deepEqual(
    spans.map(span => span.name),
    ['receive the request', 'look it up', 'send the answer', name],
  )
  assert.equal(spans.at(-1)?.parentSpanId.toString('hex'), own[0]?.spanId)
  assert.equal(theirs?.resource?.attributes[0]?.value?.stringValue, 'plugin/test')
})

test('a failed call is told as failed, and its spans come back too', async () => {
  await using server = await served({ service: 'plugin/test' })
  using channel = connect(server.path)
  const client = createClient(
    { ...VersionDefinition, fullName: 'no.such.Service' } as unknown as typeof VersionDefinition,
    channel,
  )
  const sink = new CollectedSpans()
  const request = openRequest({ name: 'request', kind: spanKind.internal, sink })
  await assert.rejects(request.run(() => client.version({})))
  const [call] = sink.take().own
  assert.match(call?.error ?? '', /unknown service no\.such\.Service/)
})

test('ttrpc carries the context in its metadata', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'tr-'))
  const seen = new CollectedSpans()
  const server = createTtrpcServer({ logger, tracing: { service: 'test', sink: seen } })
  server.add(VersionDefinition, answering)
  await server.listen(join(folder, 's'))
  using channel = connectTtrpc(join(folder, 's'))
  const client = createTtrpcClient(VersionDefinition, channel)
  await client.version({})
  assert.deepEqual(seen.take().own, [])
  const sink = new CollectedSpans()
  const request = openRequest({ parent, name: 'request', kind: spanKind.internal, sink })
  await request.run(() => client.version({}))
  const [call] = sink.take().own
  const [inner, answer] = seen.take().own
  assert.equal(answer?.parentId, call?.spanId)
  assert.equal(inner?.parentId, answer?.spanId)
  await server.close()
  await rm(folder, { recursive: true })
})

test('sampling begins traces of its own', async () => {
  const sink = new CollectedSpans()
  await using server = await served({ service: 'test', sink, sample: () => true })
  using channel = connect(server.path)
  await createClient(VersionDefinition, channel).version({})
  const { own } = sink.take()
  assert.equal(own.at(-1)?.parentId, '')
  assert.match(own.at(-1)?.traceId ?? '', /^[0-9a-f]{32}$/)
})
