import assert from 'node:assert/strict'
import { test } from 'node:test'
import { bufferBytes, checkLogOptions, forwards, lineAttributes } from './drivers.ts'
import { parseDurationMs } from './option-values.ts'
import { parseSyslogOptions } from './syslog-options.ts'
import { expandTag } from './tag.ts'

/** As dockerd 20.10 answers, unless noted. */
const refusals: [driver: string, options: Record<string, string>, message: string][] = [
  ['json-file', { x: '1' }, "unknown log opt 'x' for json-file log driver"],
  ['local', { tag: 'x' }, "unknown log opt 'tag' for log driver local"],
  ['syslog', { 'syslog-address': 'bad' }, 'syslog-address should be in form proto://address, got bad'],
  ['syslog', { 'syslog-address': 'tcp://1.2.3.4:x' }, 'parse "tcp://1.2.3.4:x": invalid port ":x" after host'],
  ['syslog', { 'syslog-address': 'unix:///nope' }, 'stat /nope: no such file or directory'],
  ['syslog', { 'syslog-facility': '99' }, 'invalid syslog facility'],
  ['syslog', { 'syslog-format': 'zz' }, 'Invalid syslog format'],
  ['syslog', { mode: 'zz' }, 'logger: logging mode not supported: zz'],
  ['syslog', { 'cache-disabled': 'zz' }, 'invalid value for option cache-disabled: zz'],
  ['gelf', {}, 'gelf-address is a required parameter'],
  ['gelf', { 'gelf-address': 'udp://1.2.3.4' }, 'gelf: please provide gelf-address as proto://host:port'],
  [
    'gelf',
    { 'gelf-address': 'tcp://1.2.3.4:1', 'gelf-compression-type': 'gzip' },
    'compression is only supported on UDP',
  ],
  ['fluentd', { 'fluentd-retry-wait': 'zz' }, 'time: invalid duration "zz"'],
  ['fluentd', { 'fluentd-async': 'zz' }, 'strconv.ParseBool: parsing "zz": invalid syntax'],
  [
    'json-file',
    { 'max-buffer-size': '1m' },
    "logger: max-buffer-size option is only supported with 'mode=non-blocking'",
  ],
]

test('options are refused in Docker’s words', () => {
  for (const [driver, options, message] of refusals)
    assert.throws(
      () => checkLogOptions(driver, options),
      { code: 'INVALID_ARGUMENT', message },
      JSON.stringify(options),
    )
  checkLogOptions('none', { x: '1' })
  checkLogOptions('somebody-elses', { colour: 'red' })
  checkLogOptions('gelf', { 'gelf-address': 'udp://[::1]:12201', 'gelf-compression-level': '9', tag: '{{.ID}}' })
})

test('which drivers carry lines elsewhere, and what may wait', () => {
  const drivers = ['', 'json-file', 'local', 'none', 'syslog', 'somebody-elses']
  assert.deepEqual(drivers.map(forwards), [false, false, false, false, true, true])
  assert.equal(bufferBytes({ mode: 'blocking' }), undefined)
  assert.equal(bufferBytes({ mode: 'non-blocking' }), 1024 * 1024)
  assert.equal(bufferBytes({ mode: 'non-blocking', 'max-buffer-size': '4k' }), 4096)
})

test('addresses and durations', () => {
  const target = (address: string) => parseSyslogOptions({ 'syslog-address': address }).target
  assert.deepEqual(target('tcp+tls://logs.example:6514'), { transport: 'tls', host: 'logs.example', port: 6514 })
  assert.deepEqual(target('udp://[::1]'), { transport: 'udp', host: '::1', port: 514 })
  assert.deepEqual(target(''), { transport: 'local' })
  assert.deepEqual(['1.5s', '2m30s', '250ms', '0'].map(parseDurationMs), [1500, 150_000, 250, 0])
})

const subject = {
  id: 'a'.repeat(64),
  name: 'web',
  imageName: 'nginx:1',
  imageId: `sha256:${'b'.repeat(64)}`,
  labels: { team: 'red', 'org.x': '1' },
  env: ['COLOUR=blue', 'HOME=/'],
}

test('tags', () => {
  assert.equal(expandTag('{{.ImageName}}/{{.Name}}/{{.ID}}', subject), `nginx:1/web/${'a'.repeat(12)}`)
  assert.equal(expandTag('x-{{ .FullName | upper }}-{{lower .ImageName}}', subject), 'x-/WEB-nginx:1')
  assert.equal(expandTag('{{index .ContainerLabels "team"}}', subject), 'red')
  assert.throws(() => expandTag('{{.Nope}}', subject), /"\.Nope" is not understood/)
})

test('attributes: labels and variables by name and by expression', () => {
  assert.equal(lineAttributes({}, subject), undefined)
  const options = { labels: 'team,absent', 'labels-regex': '^org\\.', env: 'COLOUR', tag: '{{.Name}}' }
  assert.deepEqual(lineAttributes(options, subject), { tag: 'web', team: 'red', 'org.x': '1', COLOUR: 'blue' })
  assert.throws(() => lineAttributes({ 'env-regex': '(' }, subject), { code: 'INVALID_ARGUMENT' })
})
