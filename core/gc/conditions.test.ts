import assert from 'node:assert/strict'
import { test } from 'node:test'
import { conditionsOf, usedAtMs } from './conditions.ts'
import { chainTo, Graph } from './graph.ts'
import { RecordReader } from './read-record.ts'

const nowMs = Date.parse('2026-11-21T12:00:00Z')
const hoursAgo = (hours: number) => nowMs - hours * 3_600_000
const label = 'containerd.io/gc.cond.snapshot.overlayfs'

const cases: [value: string, hours: number, holds: boolean | undefined][] = [
  ['usedat<168h|k', 1, true],
  ['usedat<168h|k', 200, false],
  ['usedat>1h30m|k', 1, false],
  ['usedat>1h30m|k', 2, true],
  ['usedat<1h,usedat>100h|k', 150, true],
  ['usedat<1h,color=red|k', 0.5, true],
  ['usedat<=1h|k', 0.5, undefined],
  ['usedat<soon|k', 0.5, undefined],
  ['usedat<1h', 0.5, undefined],
]

for (const [value, hours, holds] of cases)
  test(`${value}, used ${hours} h ago: ${holds ?? 'says nothing'}`, () => {
    const [condition] = conditionsOf({ [label]: value }, nowMs)
    assert.equal(condition?.holds(hoursAgo(hours)), holds)
    if (condition !== undefined) assert.equal(condition.snapshot, 'overlayfs/k')
  })

test('names behind the snapshotter are free; keys may hold bars and slashes', () => {
  const labels = { [`${label}/any`]: 'usedat<1h|a|b/c', 'containerd.io/gc.cond.value-usedat': '2026-11-21T11:59:00Z' }
  assert.equal(conditionsOf(labels, nowMs)[0]?.snapshot, 'overlayfs/a|b/c')
  assert.equal(usedAtMs(labels), Date.parse('2026-11-21T11:59:00Z'))
  assert.equal(usedAtMs({ 'containerd.io/gc.cond.value-usedat': 'lately' }), undefined)
})

for (const order of [
  ['images', 'snapshots'],
  ['snapshots', 'images'],
])
  test(`a kept image keeps the snapshot while the condition holds, read in the order ${order}`, () => {
    const graph = new Graph()
    const reader = new RecordReader(graph, nowMs)
    const time = { seconds: 1n, nanos: 0 }
    const snapshot = (usedAt: string) => ({
      sequence: 1,
      backendKey: '',
      kind: 'committed',
      parent: '',
      createdAt: time,
      updatedAt: time,
      labels: { 'containerd.io/gc.cond.value-usedat': usedAt },
    })
    const target = { mediaType: 'm', digest: 'sha256:0', size: 1n, annotations: {} }
    const labels = { [label]: 'usedat<24h|fresh', [`${label}/2`]: 'usedat<24h|old' }
    const records = {
      images: () => reader.read(['in', 'n', 'images', 'i'], { labels, target, createdAt: time, updatedAt: time }),
      snapshots: () => {
        reader.read(['in', 'n', 'snapshots', 'overlayfs', 'fresh'], snapshot('2026-11-21T11:00:00Z'))
        reader.read(['in', 'n', 'snapshots', 'overlayfs', 'old'], snapshot('2026-11-01T11:00:00Z'))
      },
    }
    for (const kind of order) records[kind as keyof typeof records]()
    while (graph.markOne());
    const why = (key: string) => chainTo(graph.vertex('snapshot', 'n', `overlayfs/${key}`)).map(({ why }) => why)
    assert.deepEqual(why('fresh'), ['image', `label ${label}`])
    assert.deepEqual(why('old'), [])
  })
