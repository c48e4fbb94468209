import assert from 'node:assert/strict'
import { test } from 'node:test'
import { atLeast, checkVersion, compareVersions, splitVersion } from './api-version.ts'

test('a path is split into its version and the rest', () => {
  assert.deepEqual(splitVersion('/v1.41/containers/json?all=1'), { version: '1.41', url: '/containers/json?all=1' })
  assert.deepEqual(splitVersion('/volumes'), { version: undefined, url: '/volumes' })
  assert.deepEqual(splitVersion('/v1.41'), { version: undefined, url: '/v1.41' })
})

test('versions compare by number, not by text', () => {
  assert.ok(compareVersions('1.9', '1.24') < 0)
  assert.ok(atLeast('1.44', '1.44'))
  assert.ok(!atLeast('1.43', '1.44'))
})

test('versions out of range are refused with the range', () => {
  assert.equal(checkVersion('1.24'), '1.24')
  assert.throws(() => checkVersion('1.23'), /too old.*1\.24/)
  assert.throws(() => checkVersion('1.57'), /too new.*1\.56/)
  assert.throws(() => checkVersion('1.2.3'), /invalid API version/)
})
