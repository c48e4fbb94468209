import assert from 'node:assert/strict'
import { test } from 'node:test'
import { decodeAuth } from '../registry/credentials.ts'
import { changedConfig } from './config-changes.ts'
import { familiarMatch } from './familiar-match.ts'
import { chainIdsOf } from './image-target.ts'
import { danglingName, parseName, parseNameAndTag, readRecordName, recordName, shown } from './names.ts'

const digest = `sha256:${'a'.repeat(64)}`

test('names become records, and are shown as people wrote them', () => {
  for (const [text, record, familiar] of [
    ['busybox', 'docker.io/library/busybox:latest', 'busybox:latest'],
    ['team/app:2', 'docker.io/team/app:2', 'team/app:2'],
    ['127.0.0.1:5000/app', '127.0.0.1:5000/app:latest', '127.0.0.1:5000/app:latest'],
    [`busybox@${digest}`, `docker.io/library/busybox@${digest}`, `busybox@${digest}`],
    [`busybox:1@${digest}`, `docker.io/library/busybox@${digest}`, `busybox:1@${digest}`],
  ] as const) {
    assert.equal(recordName(parseName(text)), record)
    assert.equal(shown(parseName(text)), familiar)
  }
})

test('what is no name is refused in words of Docker', () => {
  assert.throws(() => parseName('Upper'), {
    status: 400,
    message: /repository name \(library\/Upper\) must be lowercase/,
  })
  assert.throws(() => parseName('a b'), { status: 400, message: /invalid reference format/ })
  assert.throws(() => parseName('a'.repeat(64)), { status: 400, message: /cannot specify 64-byte hexadecimal strings/ })
  assert.throws(() => parseNameAndTag('a', '-x'), { status: 400, message: /invalid tag format/ })
})

test('a tag parameter may be a digest', () => {
  assert.equal(recordName(parseNameAndTag('busybox:1', digest)), `docker.io/library/busybox@${digest}`)
  assert.equal(recordName(parseNameAndTag('busybox', '2')), 'docker.io/library/busybox:2')
})

test('a record that only keeps an image has no name', () => {
  assert.equal(readRecordName(danglingName(digest)), undefined)
  assert.equal(readRecordName('docker.io/library/busybox:1')?.tag, '1')
})

test('the reference filter is a glob over names as they are shown', () => {
  const busybox = parseName('busybox:1.36')
  for (const pattern of ['busybox', 'busy*', 'busybox:1.*', '*:1.3?', 'b[tu]sybox'])
    assert.ok(familiarMatch(pattern, busybox), pattern)
  for (const pattern of ['busy', '*/busybox', 'busybox:2', 'library/*'])
    assert.ok(!familiarMatch(pattern, busybox), pattern)
  assert.ok(!familiarMatch('*', parseName('team/app')))
  assert.throws(() => familiarMatch('[', busybox), /syntax error in pattern/)
})

test('changes are those instructions that touch the configuration', () => {
  const config = changedConfig({ Env: ['PATH=/bin', 'A=1'], Cmd: ['old'] }, [
    'ENV A=2 B="two words"',
    'LABEL x=y',
    'EXPOSE 80 53/udp',
    'VOLUME ["/data"]',
    'WORKDIR /srv',
    'WORKDIR sub',
    'ENTRYPOINT ["run"]',
    'HEALTHCHECK --interval=5s --retries=2 CMD true',
    'USER nobody',
  ])
  assert.deepEqual(config, {
    Env: ['PATH=/bin', 'A=2', 'B=two words'],
    Cmd: null,
    Labels: { x: 'y' },
    ExposedPorts: { '80/tcp': {}, '53/udp': {} },
    Volumes: { '/data': {} },
    WorkingDir: '/srv/sub',
    Entrypoint: ['run'],
    Healthcheck: { Test: ['CMD-SHELL', 'true'], Interval: 5e9, Retries: 2 },
    User: 'nobody',
  })
  assert.deepEqual(changedConfig({}, ['CMD echo hi']).Cmd, ['/bin/sh', '-c', 'echo hi'])
  assert.throws(() => changedConfig({}, ['RUN true']), { status: 400, message: /RUN is not a valid change command/ })
})

test('credentials of a header: base64 of either kind, names in any case, or nobody', () => {
  const encode = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url')
  assert.equal(decodeAuth(encode({ username: 'me', password: 'pw?>' })).password, 'pw?>')
  assert.equal(decodeAuth(Buffer.from('{"username":"?>?>"}').toString('base64')).username, '?>?>')
  assert.equal(decodeAuth(encode({ IdentityToken: 't' })).identityToken, 't')
  const pair = decodeAuth(encode({ auth: Buffer.from('me:a:b').toString('base64') }))
  assert.deepEqual([pair.username, pair.password], ['me', 'a:b'])
  for (const text of ['', 'e30=', 'not base64!']) assert.equal(decodeAuth(text).username, '')
})

test('chain ids are those of the image specification', () => {
  // config.md: ChainID(L0) = DiffID(L0); ChainID(L0|…|Ln) = digest of "ChainID(L0|…|Ln-1) DiffID(Ln)".
  const [first, second] = chainIdsOf([digest, digest])
  assert.equal(first, digest)
  // Computed by sha256sum.
  assert.equal(second, 'sha256:9d2cc34dc7dc748dba0ed439e6987c2f2c39ec504fa0c1527531d9bc7d0f1052')
})
