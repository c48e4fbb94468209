import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isGantryError } from '#api/errors/errors.ts'
import { resolveUser } from './users.ts'

const files = {
  passwd: 'root:x:0:0:root:/root:/bin/sh\n# comment\nbroken line\nweb:x:33:34:Web:/var/www:/bin/false\n',
  group: 'root:x:0:\nadm:x:4:root,web\nweb:x:34:\nstaff:x:50:web\n',
}

const cases: [string, string[], object][] = [
  ['', [], { uid: 0, gid: 0, additionalGids: [4], home: '/root' }],
  ['web', [], { uid: 33, gid: 34, additionalGids: [4, 50], home: '/var/www' }],
  ['33', [], { uid: 33, gid: 34, additionalGids: [4, 50], home: '/var/www' }],
  ['web:staff', [], { uid: 33, gid: 50, additionalGids: [], home: '/var/www' }],
  ['1000', [], { uid: 1000, gid: 0, additionalGids: [], home: '/' }],
  ['1000:1001', ['staff', '77'], { uid: 1000, gid: 1001, additionalGids: [50, 77], home: '/' }],
]

for (const [text, groups, expected] of cases) {
  test(`user "${text}" with groups [${groups}]`, () => assert.deepEqual(resolveUser(text, groups, files), expected))
}

test('an image without accounts still has numbers', () => {
  assert.deepEqual(resolveUser('5', [], { passwd: '', group: '' }), { uid: 5, gid: 0, additionalGids: [], home: '/' })
})

for (const text of ['nobody', '0:nogroup', '4294967295', '-1']) {
  test(`user "${text}" is refused by name`, () => {
    assert.throws(
      () => resolveUser(text, [], files),
      error => isGantryError(error, 'INVALID_ARGUMENT'),
    )
  })
}
