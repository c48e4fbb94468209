import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ContainerCreate } from '#api/gen/containerd/events/container.ts'
import { TaskExit } from '#api/gen/containerd/events/task.ts'
import { ImageCreate } from '#api/gen/containerd/services/images/v1/image_events.ts'
import { type EventExchange, Exchange, eventAny } from './events.ts'

const exit = (containerId: string) =>
  eventAny('containerd.events.TaskExit', TaskExit, TaskExit.fromPartial({ containerId, id: containerId, pid: 7 }))

/** Collects topics until told to stop. */
function collect(exchange: EventExchange, ...filters: string[]) {
  const stop = new AbortController()
  const topics: string[] = []
  const subscription = exchange.subscribe(filters, stop.signal)
  const done = (async () => {
    for await (const { namespace, topic } of subscription) topics.push(`${namespace} ${topic}`)
    return topics
  })()
  return async () => {
    await new Promise(setImmediate)
    stop.abort()
    return await done
  }
}

test('a subscriber sees what is published after it subscribed, in order, from all namespaces', async () => {
  const exchange = new Exchange()
  exchange.publish('a', '/before', exit('x'))
  const topics = collect(exchange)
  for (let i = 0; i < 100; i++) exchange.publish(i % 2 ? 'a' : 'b', `/n/${i}`, exit('x'))
  const seen = await topics()
  assert.deepEqual(
    seen,
    Array.from({ length: 100 }, (_, i) => `${i % 2 ? 'a' : 'b'} /n/${i}`),
  )
})

test('events published between subscribing and the first read are kept', async () => {
  const exchange = new Exchange()
  const subscription = exchange.subscribe()
  exchange.publish('a', '/x', exit('c'))
  for await (const { topic, timestamp, event } of subscription) {
    assert.equal(topic, '/x')
    assert.ok(Math.abs(Number(timestamp?.seconds) - Date.now() / 1000) < 2)
    assert.equal(TaskExit.decode(event?.value ?? Buffer.alloc(0)).pid, 7)
    break
  }
})

test('filters look at namespace, topic and the event, as dockerd and nerdctl write them', async () => {
  const exchange = new Exchange()
  const docker = collect(exchange, 'namespace==moby,topic~=|^/tasks/|')
  const one = collect(exchange, 'event.container_id==c1', 'event.runtime.name==r')
  const label = collect(exchange, 'event.labels."io.x/y"==z')
  exchange.publish('moby', '/tasks/exit', exit('c1'))
  exchange.publish('moby', '/tasks/exit', exit('c2'))
  exchange.publish('other', '/tasks/exit', exit('c3'))
  const created = ContainerCreate.fromPartial({ id: 'c', runtime: { name: 'r' } })
  exchange.publish(
    'moby',
    '/containers/create',
    eventAny('containerd.events.ContainerCreate', ContainerCreate, created),
  )
  const image = eventAny('containerd.services.images.v1.ImageCreate', ImageCreate, {
    name: 'i',
    labels: { 'io.x/y': 'z' },
  })
  exchange.publish('moby', '/images/create', image)
  exchange.publish('moby', '/foreign', { typeUrl: 'nobody.knows.This', value: Buffer.from('?') })
  assert.deepEqual(await docker(), ['moby /tasks/exit', 'moby /tasks/exit'])
  assert.deepEqual(await one(), ['moby /tasks/exit', 'moby /containers/create'])
  assert.deepEqual(await label(), ['moby /images/create'])
})

test('a forwarded envelope passes as it is, or not at all', async () => {
  const exchange = new Exchange()
  const envelope = { namespace: 'a', topic: '/tasks/exit', timestamp: { seconds: 5n, nanos: 1 }, event: exit('c') }
  const subscription = exchange.subscribe()
  exchange.forward(envelope)
  for await (const seen of subscription) {
    assert.deepEqual(seen, envelope)
    break
  }
  for (const wrong of [{ namespace: '' }, { topic: 'x' }, { topic: '/a b' }, { topic: '/' }, { timestamp: undefined }])
    assert.throws(() => exchange.forward({ ...envelope, ...wrong }), { code: 'INVALID_ARGUMENT' })
  assert.throws(() => exchange.subscribe(['topic==']), { code: 'INVALID_ARGUMENT' })
})

test('a subscriber too far behind is cut off with an error; others see everything', async () => {
  const exchange = new Exchange()
  const slow = exchange.subscribe()
  const quick = collect(exchange)
  for (let i = 0; i < 100_001; i++) {
    exchange.publish('a', '/x', { typeUrl: '', value: Buffer.alloc(0) })
    if (i % 1000 === 0) await new Promise(setImmediate)
  }
  assert.equal((await quick()).length, 100_001)
  await assert.rejects(
    async () => {
      for await (const _ of slow);
    },
    { code: 'RESOURCE_EXHAUSTED' },
  )
})
