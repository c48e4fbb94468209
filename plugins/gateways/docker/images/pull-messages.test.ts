import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Progress } from '#api/gen/containerd/types/transfer/progress.ts'
import { progressBar } from './progress-messages.ts'
import { PullMessages, PushMessages } from './pull-messages.ts'

const layerType = 'application/vnd.oci.image.layer.v1.tar+gzip'

function about(event: string, digit: string, progress = 0, mediaType = layerType): Progress {
  const desc = { digest: `sha256:${digit.repeat(64)}`, mediaType, size: 10n }
  return Progress.fromPartial({ event, desc, progress: BigInt(progress), total: 10n })
}

function told(events: Progress[], messages = new PullMessages()): string[] {
  return events.flatMap(event => messages.read(event)).map(({ id, status }) => `${id?.slice(0, 1)} ${status}`)
}

test('a layer goes from fetched to unpacked, one message a step', () => {
  const events = ['waiting', 'downloading', 'downloading', 'complete', 'extracting', 'extracted', 'complete']
  assert.deepEqual(told(events.map((event, i) => about(event, 'a', i))), [
    'a Pulling fs layer',
    'a Downloading',
    'a Downloading',
    'a Download complete',
    'a Extracting',
    'a Pull complete',
  ])
})

test('layers that are here are told of beside one that is not', () => {
  assert.deepEqual(told([about('already exists', 'a'), about('already exists', 'b')]), [])
  assert.deepEqual(told([about('already exists', 'a'), about('complete', 'b'), about('already exists', 'c')]), [
    'a Already exists',
    'b Pulling fs layer',
    'b Download complete',
    'c Already exists',
  ])
})

test('manifests and configurations are no layers', () => {
  assert.deepEqual(told([about('complete', 'a', 0, 'application/vnd.oci.image.config.v1+json')]), [])
})

test('a push names layers as it is told to', () => {
  const push = new PushMessages(() => 'name')
  const events = ['waiting', 'uploading', 'complete', 'complete']
  const texts = events.flatMap(event => push.read(about(event, 'a'))).map(({ id, status }) => `${id} ${status}`)
  assert.deepEqual(texts, ['name Preparing', 'name Pushing', 'name Pushed'])
})

test('the bar has fifty places and human sizes', () => {
  assert.equal(progressBar(500_000, 1_000_000), `[${'='.repeat(25)}>${' '.repeat(25)}]    500kB/1MB`)
  assert.equal(progressBar(1_234_567, 0), ' 1.235MB')
  assert.equal(progressBar(0, 0), '')
})
