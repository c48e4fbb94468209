import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { test } from 'node:test'
import { gunzipSync } from 'node:zlib'
import { isGantryError } from '#api/errors/errors.ts'
import { createLogger } from '#api/log/log.ts'
import { decodeExport, encodeExport, resourceSpans } from '#api/trace/otlp.ts'
import { type SpanRecord, spanKind } from '#api/trace/spans.ts'
import { newSpanId } from '#api/trace/trace-context.ts'
import { SpanExporter } from './span-exporter.ts'
import { TraceRing } from './trace-ring.ts'

const service = { name: 'gantryd', pid: 1 }
const traceOf = (digit: string) => digit.repeat(32)

function span(traceId: string, name = 'step', startNs = 1000n): SpanRecord {
  return { traceId, spanId: newSpanId(), parentId: '', name, kind: spanKind.internal, startNs, endNs: startNs + 500n }
}

const spansIn = (ring: TraceRing, traceId: string) =>
  ring.get(traceId).resourceSpans.flatMap(({ scopeSpans }) => scopeSpans.flatMap(({ spans }) => spans))

test('spans of ours and of other processes are found by their trace', () => {
  const ring = new TraceRing({ service })
  const [a, b] = [traceOf('a'), traceOf('b')]
  ring.add(span(a, 'ours', 5000n))
  ring.addForeign(encodeExport([resourceSpans({ name: 'plugin', pid: 2 }, [span(a, 'theirs'), span(b, 'other')])]))
  assert.deepEqual(
    spansIn(ring, a)
      .map(({ name }) => name)
      .toSorted(),
    ['ours', 'theirs'],
  )
  assert.deepEqual(
    spansIn(ring, b).map(({ name }) => name),
    ['other'],
  )
  const [latest, first] = ring.list()
  assert.deepEqual([latest?.traceId, first?.traceId], [b, a])
  assert.deepEqual([first?.name, first?.spanCount, first?.durationNano], ['theirs', 2, 4500n])
})

test('a trace that is not there, and an id that is none', () => {
  const ring = new TraceRing({ service })
  assert.throws(
    () => ring.get(traceOf('c')),
    error => isGantryError(error, 'NOT_FOUND'),
  )
  assert.throws(
    () => ring.get('../etc'),
    error => isGantryError(error, 'INVALID_ARGUMENT'),
  )
})

test('the memory is bounded: the oldest trace goes, and a trace stops at its own limit', () => {
  const ring = new TraceRing({ service, maxSpans: 10, maxSpansPerTrace: 6 })
  const [a, b] = [traceOf('a'), traceOf('b')]
  for (let i = 0; i < 8; i++) ring.add(span(a))
  assert.equal(spansIn(ring, a).length, 6)
  assert.equal(ring.get(a).dropped, 2)
  for (let i = 0; i < 5; i++) ring.add(span(b))
  assert.throws(
    () => ring.get(a),
    error => isGantryError(error, 'NOT_FOUND'),
  )
  assert.equal(spansIn(ring, b).length, 5)
})

test('what has no ids is refused, and garbage hurts nobody', () => {
  const ring = new TraceRing({ service })
  const good = resourceSpans(service, [span(traceOf('a'))])
  const bad = resourceSpans(service, [{ ...span(traceOf('a')), traceId: 'abcd' }])
  assert.equal(ring.takeIn([bad, good]), 1)
  ring.addForeign(Buffer.from('no message'))
  assert.equal(ring.list().length, 1)
})

test('what is taken in goes on to a collector, compressed, as one OTLP message', async () => {
  const bodies: Buffer[] = []
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk)
    bodies.push(gunzipSync(Buffer.concat(chunks)))
    response.writeHead(200, { 'content-type': request.headers['content-type'] ?? '' }).end()
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  {
    await using exporter = new SpanExporter(
      `http://127.0.0.1:${port}/v1/traces`,
      createLogger({ name: 'test', level: 'error' }),
    )
    const ring = new TraceRing({ service, onSpans: spans => exporter.send(spans) })
    ring.add(span(traceOf('a'), 'first'))
    ring.addForeign(encodeExport([resourceSpans({ name: 'shim', pid: 2 }, [span(traceOf('a'), 'second')])]))
  }
  server.closeAllConnections()
  server.close()
  const names = bodies
    .flatMap(decodeExport)
    .flatMap(({ scopeSpans }) => scopeSpans.flatMap(({ spans }) => spans.map(({ name }) => name)))
  assert.deepEqual(names, ['first', 'second'])
})
