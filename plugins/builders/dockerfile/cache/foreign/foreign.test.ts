import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { sha256Digest } from '#api/types/digest.ts'
import { chain } from '../../core/layers.ts'
import { OciLayout } from '../../core/oci-layout.ts'
import type { Layer, Root } from '../../solve/stage-state.ts'
import { type CacheConfig, readCacheConfig, stacksOf } from './cache-config.ts'
import { cacheSource, cacheTarget } from './cache-location.ts'
import { CacheTrail, describe, describeInline } from './cache-trail.ts'
import { historyCache } from './history-cache.ts'
import { recordedCache } from './recorded-cache.ts'

const layer = (name: string): Layer => ({
  descriptor: { mediaType: 'm', digest: sha256Digest(`blob ${name}`), size: 7n, annotations: {} },
  diffID: sha256Digest(name),
})
const root = (...names: string[]): Root => {
  const layers = names.map(layer)
  return { layers, chainID: layers.reduce((parent, { diffID }) => chain(parent, diffID), '') }
}
const key = (digit: string) => digit.repeat(64)
const at = '2026-01-01T00:00:00.000Z'

function passed() {
  const trail = new CacheTrail()
  trail.passed({ key: key('1'), parent: root('base'), root: root('base', 'a') })
  trail.passed({ key: key('2'), parent: root('base', 'a'), root: root('base', 'a') })
  trail.passed({ key: key('3'), parent: root('base', 'a'), root: root('base', 'a', 'b') })
  trail.passed({ key: key('4'), parent: root('base'), root: root('base', 'side') })
  return trail
}

const found = (config: CacheConfig, layers: readonly Layer[]) => {
  const read = readCacheConfig('c', Buffer.from(JSON.stringify(config)))
  const stacks = stacksOf('c', read, layers)
  const cache = recordedCache({ name: 'c', records: read.records, stacks, fetch: async () => {} })
  return (step: string, on: Root) => cache.find({ key: key(step), root: on, history: [], historyLine: '' })
}

test('what is described is found again: layers, steps that changed nothing', () => {
  const { config, layers } = describe(passed().chosen('max', []), at)
  const find = found(config, layers)
  assert.deepEqual(find('1', root('base')), layer('a'))
  assert.equal(find('2', root('base', 'a')), 'unchanged')
  assert.deepEqual(find('3', root('base', 'a')), layer('b'))
  assert.deepEqual(find('4', root('base')), layer('side'))
  assert.equal(find('5', root('base')), undefined)
  // A key is believed only on the layers it was made on.
  assert.equal(find('3', root('base', 'other')), undefined)
  assert.equal(config.layers.length, 4)
  assert.equal(config.records.length, 5)
})

test('mode=min leaves out what is in no result', () => {
  const { config, layers } = describe(passed().chosen('min', [root('base', 'a', 'b')]), at)
  assert.equal(found(config, layers)('4', root('base')), undefined)
  assert.deepEqual(found(config, layers)('3', root('base', 'a')), layer('b'))
})

test('inline records count the layers of their image', () => {
  const records = describeInline(passed().chosen('min', [root('base', 'a', 'b')]), at)
  const { layers } = root('base', 'a', 'b')
  const stacks = layers.map((_, place) => layers.slice(0, place + 1))
  const cache = recordedCache({ name: 'i', records, stacks, fetch: async () => {} })
  assert.deepEqual(cache.find({ key: key('3'), root: root('base', 'a'), history: [], historyLine: '' }), layer('b'))
})

test('a description that leads nowhere is refused', () => {
  const read = (value: unknown) => readCacheConfig('c', Buffer.from(JSON.stringify(value)))
  assert.throws(() => read({ layers: [{ parent: -1 }] }), { code: 'INVALID_ARGUMENT' })
  const circle = read({ layers: [{ blob: 'x', parent: 1 }, { blob: 'y' }] })
  assert.throws(() => stacksOf('c', circle, [layer('x'), layer('y')]), /stands on itself/)
  const beyond = read({ layers: [{ blob: 'x', parent: 7 }] })
  assert.throws(() => stacksOf('c', beyond, [layer('x')]), /layer 7 does not exist/)
})

test('an image’s history is a cache for the same lines on the same layers', () => {
  const history = [{ created_by: 'base' }, { created_by: 'ENV', empty_layer: true }, { created_by: 'RUN' }]
  const cache = historyCache('i', { history }, root('base', 'a').layers)
  const step = { key: '', root: root('base'), history: history.slice(0, 2), historyLine: 'RUN' }
  assert.deepEqual(cache.find(step), layer('a'))
  assert.equal(cache.find({ ...step, historyLine: 'RUN other' }), undefined)
  assert.equal(cache.find({ ...step, root: root('other') }), undefined)
  assert.equal(cache.find({ ...step, history: [{ created_by: 'base' }, { created_by: 'ENV other' }] }), undefined)
  assert.equal(cache.find({ ...step, history: history.slice(0, 1), historyLine: 'ENV' }), 'unchanged')
})

test('locations are checked', () => {
  const source = (type: string, attributes = {}) => cacheSource({ type, attributes })
  assert.deepEqual(source('registry', { ref: 'a' }), { type: 'registry', reference: 'docker.io/library/a:latest' })
  assert.throws(() => source('registry'), /needs ref=NAME/)
  assert.throws(() => source('local', { src: 'relative' }), /an absolute path, not "relative"/)
  assert.throws(() => source('gha'), { code: 'NOT_IMPLEMENTED' })
  assert.throws(() => cacheTarget({ type: 'inline', attributes: { mode: 'most' } }), /it is min or max/)
})

test('an OCI layout keeps its tags, and is not believed', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'gt-layout-'))
  try {
    const layout = new OciLayout(folder)
    const digest = sha256Digest('one')
    await layout.write(digest, [Buffer.from('one')])
    await layout.tag('a', { mediaType: 'm', digest, size: 3 })
    await layout.tag('b', { mediaType: 'm', digest, size: 3 })
    assert.equal((await layout.find({ tag: 'a' })).digest, digest)
    await assert.rejects(layout.find({ tag: 'c' }), { code: 'NOT_FOUND' })
    assert.equal((await layout.read(digest)).toString(), 'one')
    assert.match(await readFile(join(folder, 'oci-layout'), 'utf8'), /1\.0\.0/)
    await writeFile(join(folder, 'blobs/sha256', digest.slice(7)), 'two')
    await assert.rejects(layout.read(digest), { code: 'DATA_LOSS' })
    await assert.rejects(layout.read('sha256:../../x'), { code: 'INVALID_ARGUMENT' })
  } finally {
    await rm(folder, { recursive: true })
  }
})
