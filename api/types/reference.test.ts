import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isGantryError } from '#api/errors/errors.ts'
import { familiarName, formatReference, parseReference } from './reference.ts'

const hex = 'a'.repeat(64)

test('names become full as in the docker command', () => {
  const cases: [string, string][] = [
    ['busybox', 'docker.io/library/busybox:latest'],
    ['busybox:1.36', 'docker.io/library/busybox:1.36'],
    ['team/app', 'docker.io/team/app:latest'],
    ['docker.io/busybox', 'docker.io/library/busybox:latest'],
    ['index.docker.io/busybox', 'docker.io/library/busybox:latest'],
    ['localhost/app', 'localhost/app:latest'],
    ['localhost:5000/app', 'localhost:5000/app:latest'],
    ['localhost:5000/app:v1', 'localhost:5000/app:v1'],
    ['registry.example/a/b-c/d__e.f:T_a-g.1', 'registry.example/a/b-c/d__e.f:T_a-g.1'],
    ['[::1]:5000/app', '[::1]:5000/app:latest'],
    ['HOST/app', 'HOST/app:latest'],
    [`app@sha256:${hex}`, `docker.io/library/app@sha256:${hex}`],
    [`r.example:443/app:v1@sha256:${hex}`, `r.example:443/app:v1@sha256:${hex}`],
  ]
  for (const [text, full] of cases) assert.equal(formatReference(parseReference(text)), full, text)
})

test('a reference keeps its parts', () => {
  assert.deepEqual(parseReference(`h.example:1/a/b:t@sha256:${hex}`), {
    domain: 'h.example:1',
    repository: 'a/b',
    tag: 't',
    digest: `sha256:${hex}`,
  })
})

test('what is no reference is refused with the reason', () => {
  const cases: [string, RegExp][] = [
    ['', /no repository name/],
    [':tag', /no repository name/],
    ['Busybox', /must be lower case/],
    ['a//b', /is not a repository name/],
    ['a/../b', /is not a repository name/],
    ['-a', /is not a repository name/],
    ['app:', /"" is not a tag/],
    ['app:-x', /"-x" is not a tag/],
    [`app:${'t'.repeat(129)}`, /is not a tag/],
    ['app@sha256:12', /is not a sha256 digest/],
    [`app@sha512:${hex}`, /is not a sha256 digest/],
    ['ho_st.example/app', /is not a host/],
    ['host:99x/app', /is not a host/],
    [`h.example/${'a'.repeat(250)}`, /longer than 255/],
    [`${'a'.repeat(600)}`, /longer than 512/],
    ['a b', /is not a repository name/],
    ['a?x=1', /is not a repository name/],
  ]
  for (const [text, why] of cases)
    assert.throws(
      () => parseReference(text),
      error => isGantryError(error, 'INVALID_ARGUMENT') && why.test(error.message),
      text,
    )
})

test('short names are short again for people', () => {
  assert.equal(familiarName(parseReference('busybox')), 'busybox:latest')
  assert.equal(familiarName(parseReference('team/app:1')), 'team/app:1')
  assert.equal(familiarName(parseReference('localhost:5000/app')), 'localhost:5000/app:latest')
})
