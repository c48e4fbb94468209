import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { openStore } from '#api/store/store.ts'
import { explainMiss } from './explain-miss.ts'
import { StepCache } from './step-cache.ts'
import { type StepWork, stepKey } from './step-work.ts'

const folder = await mkdtemp(join(tmpdir(), 'gantry-step-cache-'))
const store = openStore(folder)
const cache = new StepCache(store)
after(async () => {
  await store.close()
  await rm(folder, { recursive: true })
})

const layer = { descriptor: { mediaType: 'm', digest: 'sha256:1', size: 1n, annotations: {} }, diffID: 'sha256:2' }
const run = (text: string, parent: string, inputs: StepWork['inputs']): StepWork => ({
  kind: 'RUN',
  text,
  parent,
  inputs,
})

test('a miss is explained by what differs from the nearest step', () => {
  cache.record(run('RUN make', 'base', { command: 'make', 'variable A': '1', user: '' }), 'sha256:c', layer)
  const explained = (work: StepWork) => explainMiss(cache, work)
  const changed = run('RUN make', 'base', { command: 'make', 'variable A': '2', 'variable B': '', user: '' })
  assert.equal(explained(changed), 'variable A changed, variable B is new')
  assert.match(explained(run('RUN make', 'other', {})), /^what it stands on changed/)
  assert.equal(explained(run('RUN make all', 'base', {})), 'the instruction changed: it was "RUN make"')
  assert.match(explained(run('RUN else', 'elsewhere', {})), /never done/)
})

test('of many files that changed some are named', () => {
  const copy = (content: string): StepWork => {
    const files = new Map(['a', 'b', 'c', 'd', 'e'].map(name => [`/${name}`, `${content}-${name}`.padEnd(20)]))
    return { kind: 'copy', text: 'COPY . /', parent: '', inputs: { files: content }, files }
  }
  cache.record(copy('1'), 'sha256:d', layer)
  assert.equal(explainMiss(cache, copy('2')), 'file /a changed, file /b changed, file /c changed, and 2 more')
})

test('what is forgotten explains nothing', () => {
  const work = run('RUN once', 'x', { command: 'once' })
  cache.record(work, 'sha256:e', layer)
  assert.deepEqual(Object.keys(cache.inputs(stepKey(work))), ['command'])
  cache.forget(stepKey(work))
  assert.deepEqual(cache.inputs(stepKey(work)), {})
  assert.match(explainMiss(cache, work), /never done/)
})
