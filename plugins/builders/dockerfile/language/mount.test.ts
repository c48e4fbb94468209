import assert from 'node:assert/strict'
import { test } from 'node:test'
import { readMount } from './mount.ts'

test('mounts: defaults by type, other spellings', () => {
  const bind = readMount('target=/x,src=a,from=build')
  assert.deepEqual([bind.type, bind.source, bind.from, bind.readOnly], ['bind', 'a', 'build', true])
  const cache = readMount('type=cache,dst=/c,sharing=locked,mode=0700,uid=5')
  assert.deepEqual([cache.id, cache.sharing, cache.mode, cache.uid, cache.readOnly], ['/c', 'locked', 0o700, 5, false])
  assert.equal(readMount('type=bind,target=/x,rw').readOnly, false)
  assert.equal(readMount('type=cache,target=/x,readonly').readOnly, true)
  assert.equal(readMount('type=secret,target=/run/secrets/key').id, 'key')
  const sizes = { 1024: 1024, '64k': 65_536, '512m': 2 ** 29, '1.5GiB': 1.5 * 2 ** 30, '2kb': 2048 }
  for (const [size, bytes] of Object.entries(sizes))
    assert.equal(readMount(`type=tmpfs,target=/t,size=${size}`).sizeBytes, bytes, size)
})

test('what is wrong is named', () => {
  const refused = (text: string, message: RegExp) =>
    assert.throws(() => readMount(text), { code: 'INVALID_ARGUMENT', message })
  refused('type=cahce,target=/x', /unsupported mount type "cahce" \(did you mean cache\?\)/)
  refused('type=cache,target=/x,shring=locked', /unexpected key 'shring' .*did you mean sharing/)
  refused('type=cache', /target is required/)
  refused('type=cache,target=/x,sharing=no', /unsupported sharing value "no"/)
  refused('type=cache,target=/x,mode=x', /invalid value for mode: x/)
  refused('type=tmpfs,target=/x,size=much', /invalid size: 'much'/)
})
