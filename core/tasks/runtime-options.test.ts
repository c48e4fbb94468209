import assert from 'node:assert/strict'
import { test } from 'node:test'
import { runtimeOptions } from './runtime-options.ts'

const options = (text: string) => ({ typeUrl: 'containerd.runc.v1.Options', value: Buffer.from(text) })
const recorded = { runtime: { options: options('recorded') } }

test("a request's options go before the record's, unless they are empty", () => {
  assert.deepEqual(runtimeOptions({ options: options('asked') }, recorded), options('asked'))
  assert.deepEqual(runtimeOptions({ options: options('') }, recorded), options('recorded'))
  assert.deepEqual(runtimeOptions({}, recorded), options('recorded'))
})

test('without any in the record, the empty ones are passed on, and none stay none', () => {
  assert.deepEqual(runtimeOptions({ options: options('') }, { runtime: {} }), options(''))
  assert.equal(runtimeOptions({}, { runtime: {} }), undefined)
})
