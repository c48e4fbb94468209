import assert from 'node:assert/strict'
import { test } from 'node:test'
import { publishOption, restartOption } from './container-config.ts'
import { imageReference } from './image-reference.ts'
import { mountOption } from './mount-options.ts'

test('short image names become the ones they are stored under', () => {
  const cases: Record<string, string> = {
    busybox: 'docker.io/library/busybox:latest',
    'busybox:1': 'docker.io/library/busybox:1',
    'me/app': 'docker.io/me/app:latest',
    'localhost/app': 'localhost/app:latest',
    '127.0.0.1:5000/a/b:v1': '127.0.0.1:5000/a/b:v1',
    [`reg:5000/a@sha256:${'0'.repeat(64)}`]: `reg:5000/a@sha256:${'0'.repeat(64)}`,
    'localhost:5000/a': 'localhost:5000/a:latest',
    'a/b-c__d.e:V1.0': 'docker.io/a/b-c__d.e:V1.0',
  }
  for (const [short, full] of Object.entries(cases)) assert.equal(imageReference(short), full)
})

test('what is no image name is refused by name', () => {
  for (const bad of ['', 'A B', 'UPPER', 'a:', 'a//b', 'a@sha256:1', 'host.example:port/a', ':tag', 'a:b:c'])
    assert.throws(() => imageReference(bad), { code: 'INVALID_ARGUMENT', message: new RegExp(`^"${bad}"`) })
})

test('published ports: single, range, address, protocol', () => {
  assert.deepEqual(publishOption('8080:80'), [
    { protocol: 'tcp', hostPort: 8080, containerPort: 80, hostIp: '', count: 1 },
  ])
  assert.deepEqual(publishOption('80'), [{ protocol: 'tcp', hostPort: 0, containerPort: 80, hostIp: '', count: 1 }])
  assert.deepEqual(publishOption('127.0.0.1:53:53/udp'), [
    { protocol: 'udp', hostPort: 53, containerPort: 53, hostIp: '127.0.0.1', count: 1 },
  ])
  assert.equal(publishOption('[::1]::80')[0]?.hostIp, '::1')
  assert.deepEqual(publishOption('8000-8002:80-82'), [
    { protocol: 'tcp', hostPort: 8000, containerPort: 80, hostIp: '', count: 3 },
  ])
})

test('published ports that make no sense name themselves', () => {
  for (const bad of ['', 'http', '80:', '1:2:3', '0:80', '70000:80', '8000-8001:80', '9-8:9-8', '80/icmp'])
    assert.throws(() => publishOption(bad), { code: 'INVALID_ARGUMENT', message: new RegExp(`--publish "${bad}"`) })
})

test('mounts', () => {
  assert.deepEqual(mountOption('type=bind,src=/a,dst=/b,ro'), {
    type: 'bind',
    source: '/a',
    target: '/b',
    options: ['rbind', 'rprivate', 'ro'],
  })
  assert.deepEqual(mountOption('type=tmpfs,target=/t,tmpfs-size=1m'), {
    type: 'tmpfs',
    source: 'tmpfs',
    target: '/t',
    options: ['size=1m'],
  })
  assert.throws(() => mountOption('type=bind,src=/a'), { code: 'INVALID_ARGUMENT', message: /names no target/ })
  assert.throws(() => mountOption('type=bind,dst=/a'), { code: 'INVALID_ARGUMENT', message: /names no source/ })
  assert.throws(() => mountOption('type=bind,src=/a,dst=/b,rw=1'), { code: 'INVALID_ARGUMENT', message: /has "rw=1"/ })
})

test('restart policies', () => {
  assert.deepEqual(restartOption('on-failure:3'), { name: 'on-failure', maxRetries: 3 })
  assert.deepEqual(restartOption('always'), { name: 'always', maxRetries: 0 })
  for (const bad of ['on-failure:x', 'on-failure:1:2']) assert.throws(() => restartOption(bad), /--restart/)
})
