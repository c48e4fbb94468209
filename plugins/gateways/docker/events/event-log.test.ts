import assert from 'node:assert/strict'
import { appendFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { createLogger } from '#api/log/log.ts'
import { Query } from '../http/query.ts'
import { eventFilter } from './event-filter.ts'
import { eventLine } from './event-json.ts'
import { EventLog, type LoggedEvent } from './event-log.ts'
import { parseTimestamp } from './timestamps.ts'

const log = createLogger({ name: 'test', level: 'error' })

async function inFolder(body: (folder: string) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'events-'))
  try {
    await body(folder)
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

function event(type: string, action: string, id: string, attributes: Record<string, string> = {}): LoggedEvent {
  return {
    Type: type,
    Action: action,
    Actor: { ID: id, Attributes: attributes },
    scope: 'local',
    timeNano: 1_500_000_001n,
  }
}

test('events outlive the process, in order, without a line that was cut off', () =>
  inFolder(async folder => {
    const first = new EventLog(folder, log)
    for (const action of ['create', 'start', 'die'])
      first.publish({ type: 'container', action, actor: { id: 'c', attributes: { name: 'x' } }, timeNano: 5n })
    first.close()
    appendFileSync(join(folder, 'events', 'current.jsonl'), '{"Type":"contai')
    const second = new EventLog(folder, log)
    second.publish({ type: 'container', action: 'destroy', actor: { id: 'c', attributes: {} }, timeNano: 9n })
    const kept = await second.since(0n)
    second.close()
    assert.deepEqual(
      kept.map(({ Action, timeNano }) => [Action, timeNano]),
      [
        ['create', 5n],
        ['start', 6n],
        ['die', 7n],
        ['destroy', 9n],
      ],
    )
  }))

test('the newest events stay when a file is full', () =>
  inFolder(async folder => {
    const events = new EventLog(folder, log)
    const attributes = { padding: 'x'.repeat(100_000) }
    for (let i = 0; i < 100; i++) events.publish({ type: 'volume', action: `a${i}`, actor: { id: 'v', attributes } })
    const kept = (await events.since(0n)).map(({ Action }) => Action)
    events.close()
    assert.equal(kept.at(-1), 'a99')
    assert.ok(kept.length >= 42 && kept.length < 100, `${kept.length} kept`)
  }))

const filterOf = (filters: object) => eventFilter(new Query({ query: { filters: JSON.stringify(filters) } }))

test('filters choose as docker events does', () => {
  const started = event('container', 'start', 'abcdef', { name: 'web', image: 'busybox:1', tier: 'front' })
  const fits = (filters: object, what = started) => filterOf(filters).fits(what)
  assert.ok(fits({}))
  assert.ok(fits({ container: { web: true } }))
  assert.ok(fits({ container: ['abc'] }))
  assert.ok(!fits({ container: ['other'] }))
  assert.ok(fits({ image: ['busybox'] }))
  assert.ok(fits({ label: ['tier=front'], event: ['start', 'die'] }))
  assert.ok(!fits({ label: ['tier=back'] }))
  assert.ok(!fits({ type: ['image'] }))
  assert.ok(fits({ event: ['health_status'] }, event('container', 'health_status: healthy', 'a')))
  assert.throws(() => fits({ colour: ['red'] }), /invalid filter 'colour'/)
})

test('what is only told reaches the curious, and is not kept', () =>
  inFolder(async root => {
    const events = new EventLog(root, log)
    const demands: boolean[] = []
    events.onDemand(isWanted => demands.push(isWanted))
    const heard = { curious: [] as string[], other: [] as string[] }
    const listening = events.listen(({ Action }) => heard.curious.push(Action), filterOf({ event: ['exec_die'] }))
    using _other = events.listen(({ Action }) => heard.other.push(Action), filterOf({ event: ['start'] }))
    const actor = { id: 'c', attributes: {} }
    events.tell([{ type: 'container', action: 'exec_die', actor }])
    events.publish({ type: 'container', action: 'start', actor })
    assert.deepEqual(heard, { curious: ['exec_die', 'start'], other: ['start'] })
    assert.deepEqual(
      (await events.since(0n)).map(({ Action }) => Action),
      ['start'],
    )
    listening[Symbol.dispose]()
    assert.deepEqual(demands, [true, false])
    events.close()
  }))

test('exec events are wanted unless a filter leaves them out', () => {
  assert.ok(filterOf({}).curious)
  assert.ok(filterOf({ type: ['container'], label: ['a=b'] }).curious)
  assert.ok(!filterOf({ type: ['image'] }).curious)
  assert.ok(!filterOf({ event: ['health_status'] }).curious)
})

test('an event has the members of its version', () => {
  const started = event('container', 'start', 'abc', { image: 'busybox' })
  assert.deepEqual(JSON.parse(eventLine(started, '1.41')), {
    status: 'start',
    id: 'abc',
    from: 'busybox',
    Type: 'container',
    Action: 'start',
    Actor: { ID: 'abc', Attributes: { image: 'busybox' } },
    scope: 'local',
    time: 1,
    timeNano: 1500000001,
  })
  assert.ok(!('status' in JSON.parse(eventLine(started, '1.52'))))
})

test('times are read as Docker writes them', () => {
  assert.equal(parseTimestamp('1795243665'), 1795243665_000000000n)
  assert.equal(parseTimestamp('1795243665.000000123'), 1795243665_000000123n)
  assert.equal(parseTimestamp('1h30m', 10_000_000), 10_000_000_000_000n - 5_400_000_000_000n)
  assert.equal(
    parseTimestamp('2026-11-21T06:36:46.5Z'),
    BigInt(Date.parse('2026-11-21T06:36:46Z')) * 1_000_000n + 500_000_000n,
  )
  assert.equal(parseTimestamp('2026-11-21'), BigInt(Date.parse('2026-11-21T00:00:00Z')) * 1_000_000n)
  assert.throws(() => parseTimestamp('yesterday'), /yesterday/)
})
