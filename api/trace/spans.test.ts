import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { wallOffsetNs } from './clock.ts'
import { CollectedSpans } from './collected-spans.ts'
import { decodeExport, exportRequest } from './otlp.ts'
import { currentScope, openRequest, resume, type SpanRecord, spanKind, step } from './spans.ts'

function traced() {
  const sink = new CollectedSpans()
  const request = openRequest({ name: 'request', kind: spanKind.server, sink })
  return { sink, request, spans: () => new Map(sink.take().own.map(span => [span.name, span])) }
}

test('nothing is recorded and nothing is in the way where nobody traces', async () => {
  assert.equal(currentScope(), undefined)
  assert.equal(
    step('sum', () => 1 + 1),
    2,
  )
  assert.equal(await step('later', async () => 3), 3)
})

test('steps nest, also side by side, and the time of one holds that of those below it', async () => {
  const { request, spans } = traced()
  await request.run(async () => {
    await Promise.all([
      step('left', () => step('left below', () => sleep(3))),
      step('right', async () => {
        await sleep(1)
        step('right below', () => 0)
      }),
    ])
  })
  request.end()
  const found = spans()
  const parentOf = (name: string) =>
    [...found.values()].find(({ spanId }) => spanId === found.get(name)?.parentId)?.name
  assert.deepEqual(['left below', 'right below', 'left', 'right'].map(parentOf), [
    'left',
    'right',
    'request',
    'request',
  ])
  assert.equal(found.get('request')?.parentId, '')
  const [outer, inner] = [found.get('left'), found.get('left below')] as [SpanRecord, SpanRecord]
  assert.ok(outer.startNs <= inner.startNs && inner.endNs <= outer.endNs)
  assert.ok(inner.endNs - inner.startNs >= 2_000_000n)
})

test('a step that fails says why, thrown or rejected', async () => {
  const { request, spans } = traced()
  await request.run(async () => {
    assert.throws(() =>
      step('thrown', () => {
        throw new Error('at once')
      }),
    )
    await assert.rejects(step('rejected', () => Promise.reject(new Error('later'))))
  })
  const found = spans()
  assert.equal(found.get('thrown')?.error, 'at once')
  assert.equal(found.get('rejected')?.error, 'later')
})

test('work that an event brings about goes on in the trace it is given, and in no other', async () => {
  const { request, spans } = traced()
  const scope = request.run(() => currentScope())
  request.end()
  resume(scope, () => step('after', () => 0))
  request.run(() => resume(undefined, () => step('of nobody', () => 0)))
  assert.deepEqual([...spans().keys()].toSorted(), ['after', 'request'])
})

test('OTLP says the same, in wall time', () => {
  const { request, sink } = traced()
  const before = BigInt(Date.now()) * 1_000_000n
  request.run(() => step('one', () => 0))
  request.end()
  const [part] = decodeExport(exportRequest({ name: 'test', pid: 7 }, sink.take().own))
  const [one, root] = part?.scopeSpans[0]?.spans ?? []
  assert.equal(one?.parentSpanId.toString('hex'), root?.spanId.toString('hex'))
  assert.equal(root?.parentSpanId.length, 0)
  // A wall clock that is set meanwhile would differ by more than a machine's slowness.
  const start = root?.startTimeUnixNano ?? 0n
  assert.ok(start - before < 60_000_000_000n && before - start < 60_000_000_000n, `${start} ${before}`)
  assert.equal(wallOffsetNs(), wallOffsetNs())
})
