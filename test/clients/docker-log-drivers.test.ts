/** Log drivers that carry lines elsewhere, with the docker command; the other ends are servers of this process. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { createServer as createTlsServer } from 'node:tls'
import { gunzipSync } from 'node:zlib'
import { decode, decodeMulti } from '@msgpack/msgpack'
import { patience } from '../daemon/patience.ts'
import { makeCertificate } from '../registry/certificate.ts'
import { Docker, dockerCommand } from './docker.ts'
import { Listener, LogPlugin } from './log-servers.ts'

const timeout = 300_000 * patience
const skip =
  process.getuid?.() !== 0 ? 'needs root' : dockerCommand === undefined ? 'there is no docker command' : false

let docker: Docker
const image = 'busybox:test'
const folder = await mkdtemp(join(tmpdir(), 'gt-logs-'))

before(async () => {
  if (skip) return
  const settings = `docker_plugin_folders = ["${folder}"]`
  docker = await Docker.start({
    config: `[plugins.gateways.docker]\n${settings}\n[plugins.log-drivers.standard]\n${settings}\njournal_socket = "${folder}/journal"\n`,
  })
  await docker.importBusybox(image)
})
after(async () => {
  await docker?.[Symbol.asyncDispose]()
  await rm(folder, { recursive: true })
})

async function until(what: string, holds: () => boolean | Promise<boolean>): Promise<void> {
  for (const deadline = Date.now() + 60_000 * patience; !(await holds()); await sleep(50))
    assert.ok(Date.now() < deadline, `${what}\n${docker.daemon.log.slice(-4000)}`)
}

const run = (driver: string, options: readonly string[], script: string, ...flags: string[]) =>
  docker.ok(
    ...['run', ...flags, '--net', 'none', '--log-driver', driver],
    ...options.flatMap(option => ['--log-opt', option]),
    ...[image, 'sh', '-c', script],
  )

test('syslog over TCP: both streams, in order, also of a container that is removed at once', {
  skip,
  timeout,
}, async () => {
  await using syslog = new Listener()
  const port = await syslog.listen()
  const options = [`syslog-address=tcp://127.0.0.1:${port}`, 'syslog-format=rfc5424', 'tag={{.Name}}/{{.ImageName}}']
  const script = 'i=0; while [ $i -lt 500 ]; do i=$((i+1)); echo line $i; done; echo oops >&2; printf end'
  await run('syslog', options, script, '--rm', '--name', 'brief')
  await until('all lines', () => syslog.lines.length >= 502)
  const wanted = Array.from({ length: 500 }, (_, index) => `line ${index + 1}`)
  const messages = syslog.lines.map(line => {
    const [, priority, text] =
      /^<(\d+)>1 \d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ \S+ brief\/busybox:test \d+ brief\/busybox:test - (.*)$/.exec(line) ??
      []
    assert.ok(priority, line)
    return { priority, text }
  })
  assert.deepEqual(
    messages.filter(({ priority }) => priority === '30').map(({ text }) => text),
    [...wanted, 'end'],
  )
  assert.deepEqual(
    messages.filter(({ priority }) => priority === '27'),
    [{ priority: '27', text: 'oops' }],
  )
  const departed = join(docker.daemon.root, 'departed-logs')
  await until('the log goes when it has been sent', async () => (await readdir(departed)).length === 0)
})

test('a server that is away delays nobody, and gets everything when it comes back', { skip, timeout }, async () => {
  await using probe = new Listener()
  const port = await probe.listen()
  await probe[Symbol.asyncDispose]()
  await run(
    'syslog',
    [`syslog-address=tcp://127.0.0.1:${port}`],
    'for i in 1 2 3; do echo early $i; done',
    '--name',
    'away',
  )
  assert.match(await docker.ok('logs', 'away'), /early 1\nearly 2\nearly 3/)
  await using syslog = new Listener()
  await syslog.listen(port)
  await until('lines of before', () => syslog.lines.length >= 3)
  assert.match(syslog.lines[0] ?? '', /^<30>\w{3} [ \d]\d \d\d:\d\d:\d\d [0-9a-f]{12}\[\d+\]: early 1$/)
  // The drivers' process dies; the container goes on, and is sent from where it was.
  await docker.ok(
    'run',
    '-d',
    '--net',
    'none',
    '--name',
    'long',
    '--log-driver',
    'syslog',
    '--log-opt',
    `syslog-address=tcp://127.0.0.1:${port}`,
    image,
    'sh',
    '-c',
    'echo first; while [ ! -e /go ]; do sleep 0.1; done; echo second',
  )
  await until('its first line', () => syslog.lines.some(line => line.endsWith('first')))
  const { stdout } = await docker.daemon.run('--format', 'json', 'plugins', 'ls')
  const rows = JSON.parse(stdout) as { id: string; kind: string; pid: number }[]
  process.kill(rows.find(({ kind }) => kind === 'log-driver')?.pid ?? assert.fail(stdout), 'SIGKILL')
  await docker.ok('exec', 'long', 'touch', '/go')
  await until('its second line', () => syslog.lines.some(line => line.endsWith('second')))
  assert.equal(syslog.lines.filter(line => line.endsWith('first')).length, 1)
})

test('gelf over UDP: compressed, in chunks when long', { skip, timeout }, async () => {
  const socket = createSocket('udp4')
  const chunks = new Map<string, Buffer[]>()
  const messages: Record<string, unknown>[] = []
  socket.on('message', bytes => {
    if (bytes.readUInt16BE(0) !== 0x1e0f) return void messages.push(JSON.parse(gunzipSync(bytes).toString()))
    const parts = chunks.get(bytes.toString('hex', 2, 10)) ?? []
    chunks.set(bytes.toString('hex', 2, 10), parts)
    parts[bytes[10] ?? 0] = bytes.subarray(12)
    if (parts.filter(Boolean).length === bytes[11])
      messages.push(JSON.parse(gunzipSync(Buffer.concat(parts)).toString()))
  })
  socket.bind(0, '127.0.0.1')
  await once(socket, 'listening')
  try {
    const address = `gelf-address=udp://127.0.0.1:${socket.address().port}`
    const script = 'echo short; head -c 9000 /dev/urandom | base64 | tr -d "\\n"; echo'
    await run(
      'gelf',
      [address, 'labels=team', 'env=COLOUR'],
      script,
      '--rm',
      '--label',
      'team=red',
      '-e',
      'COLOUR=blue',
      '--name',
      'grey',
    )
    await until('both messages', () => messages.length >= 2)
  } finally {
    socket.close()
  }
  const [short, long] = messages
  const { version, short_message, level, _container_name, _image_name, _tag, _team, _COLOUR } = short ?? {}
  assert.deepEqual(
    { version, short_message, level, _container_name, _image_name, _team, _COLOUR },
    {
      version: '1.1',
      short_message: 'short',
      level: 6,
      _container_name: 'grey',
      _image_name: image,
      _team: 'red',
      _COLOUR: 'blue',
    },
  )
  assert.equal(String(_tag).length, 12)
  assert.equal(String(long?.short_message).length, 12_000)
})

test('fluentd: the forward protocol, confirmed', { skip, timeout }, async () => {
  await using fluentd = new Listener(bytes => {
    const [, , { chunk = '' } = {}] = decode(bytes) as [string, unknown, { chunk?: string }]
    return Buffer.concat([
      Buffer.from([0x81, 0xa3]),
      Buffer.from('ack'),
      Buffer.from([0xa0 | chunk.length]),
      Buffer.from(chunk),
    ])
  })
  const port = await fluentd.listen()
  await run(
    'fluentd',
    [`fluentd-address=127.0.0.1:${port}`, 'fluentd-request-ack=true', 'tag=app.{{.Name}}'],
    'echo one; sleep 0.5; echo two >&2',
    '--name',
    'flu',
  )
  const entries = () => [...decodeMulti(fluentd.bytes)] as [string, [number, Record<string, string>][]][]
  await until('both lines', () => entries().flatMap(([, lines]) => lines).length >= 2)
  const lines = entries().flatMap(([tag, some]) =>
    some.map(([, { container_name, source, log }]) => ({ tag, container_name, source, log })),
  )
  assert.deepEqual(lines, [
    { tag: 'app.flu', container_name: '/flu', source: 'stdout', log: 'one' },
    { tag: 'app.flu', container_name: '/flu', source: 'stderr', log: 'two' },
  ])
})

test('syslog over TLS, UDP and a socket', { skip, timeout }, async () => {
  const { certificate, key } = makeCertificate(folder)
  let secured = ''
  const tls = createTlsServer({ cert: await readFile(certificate), key: await readFile(key) }, socket =>
    socket.on('data', bytes => {
      secured += bytes
    }),
  )
  tls.listen(0, '127.0.0.1')
  await once(tls, 'listening')
  const udp = createSocket('udp4').bind(0, '127.0.0.1')
  await once(udp, 'listening')
  const datagrams: string[] = []
  udp.on('message', bytes => datagrams.push(bytes.toString()))
  await using stream = new Listener()
  await stream.listen(join(folder, 'syslog.sock'))
  try {
    const { port } = tls.address() as AddressInfo
    const secure = [`syslog-address=tcp+tls://127.0.0.1:${port}`, 'syslog-format=rfc5424micro']
    await run('syslog', [...secure, `syslog-tls-ca-cert=${certificate}`, 'tag=tls'], 'echo secret', '--rm')
    const plain = [
      `syslog-address=udp://127.0.0.1:${udp.address().port}`,
      'syslog-facility=local3',
      'syslog-format=rfc3164',
    ]
    await run('syslog', [...plain, 'tag=udp'], 'echo datagram', '--rm')
    await run('syslog', [`syslog-address=unix://${folder}/syslog.sock`, 'tag=unix'], 'echo local', '--rm')
    await until('all three', () => secured !== '' && datagrams.length > 0 && stream.lines.length > 0)
  } finally {
    tls.close()
    udp.close()
  }
  const [, length, message = ''] = /^(\d+) (.*\n)$/s.exec(secured) ?? []
  assert.equal(Number(length), Buffer.byteLength(message))
  assert.match(message, /^<30>1 \d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z \S+ tls \d+ tls - secret\n$/)
  assert.match(datagrams[0] ?? '', /^<158>\w{3} [ \d]\d \d\d:\d\d:\d\d \S+ udp\[\d+\]: datagram\n$/)
  assert.match(stream.lines[0] ?? '', /^<30>\w{3} [ \d]\d \d\d:\d\d:\d\d unix\[\d+\]: local$/)
})

const numbered = (count: number) => Array.from({ length: count }, (_, index) => `line ${index + 1}`)
const writeMany = (count: number) => `i=0; while [ $i -lt ${count} ]; do i=$((i+1)); echo line $i; done`
const smallCache = ['cache-max-size=4k', 'cache-max-file=2']

/** A port at which nobody listens for now. */
async function freePort(): Promise<number> {
  await using probe = new Listener()
  return await probe.listen()
}

test('blocking: output waits for a driver whose file is full, and none is lost', { skip, timeout }, async () => {
  // More than a pipe holds.
  const many = 20_000
  const port = await freePort()
  const options = [`syslog-address=tcp://127.0.0.1:${port}`, ...smallCache]
  await run('syslog', options, `${writeMany(many)}; echo > /done`, '-d', '--name', 'patient')
  await until('its file is full', async () => {
    const { stdout } = await docker.run(['logs', 'patient'])
    return stdout.length > 300
  })
  assert.equal(await docker.ok('inspect', '-f', '{{.State.Running}}', 'patient'), 'true')
  await using syslog = new Listener()
  await syslog.listen(port)
  await until('all lines', () => syslog.lines.length >= many)
  assert.deepEqual(
    syslog.lines.map(line => line.replace(/^.*]: /, '')),
    numbered(many),
  )
  assert.equal(await docker.ok('wait', 'patient'), '0')
})

test('blocking: a container that waits for its driver can be killed at once', { skip, timeout }, async () => {
  const options = [`syslog-address=tcp://127.0.0.1:${await freePort()}`, ...smallCache]
  await run('syslog', options, `${writeMany(100_000)}`, '-d', '--name', 'stuck')
  await until('its file is full', async () => (await docker.run(['logs', 'stuck'])).stdout.length > 300)
  const began = Date.now()
  await docker.ok('kill', 'stuck')
  assert.equal(await docker.ok('wait', 'stuck'), '137')
  assert.ok(Date.now() - began < 15_000 * patience, `${Date.now() - began} ms`)
})

test('mode=non-blocking: nobody waits, and what is dropped is counted and told', { skip, timeout }, async () => {
  const port = await freePort()
  const options = [`syslog-address=tcp://127.0.0.1:${port}`, 'mode=non-blocking', ...smallCache]
  await run('syslog', options, writeMany(3000), '--name', 'hasty')
  const [inspected] = JSON.parse(await docker.ok('inspect', 'hasty')) as { LogDropped?: { Lines: number } }[]
  const dropped = inspected?.LogDropped?.Lines ?? 0
  assert.ok(dropped > 2000 && dropped < 3000, `${dropped} lines dropped`)
  const { stderr } = await docker.run(['logs', 'hasty'])
  assert.match(stderr, /gantry: \d+ log lines \(\d+ bytes\) were dropped here \(mode=non-blocking\)/)
  await using syslog = new Listener()
  await syslog.listen(port)
  await until('what was kept', () => syslog.lines.some(line => line.endsWith('line 3000')))
  assert.ok(syslog.lines.filter(line => / line \d+$/.test(line)).length >= 3000 - dropped)
})

test("Docker's log plugins: found, told, fed through a FIFO", { skip, timeout }, async () => {
  await using plugin = new LogPlugin()
  await plugin.listen(join(folder, 'own.sock'))
  assert.match(await docker.ok('info', '-f', '{{.Plugins.Log}}'), /fluentd gelf journald json-file local own syslog/)
  const script = 'echo one; echo two >&2; head -c 20000 /dev/zero | tr "\\0" x; echo; sleep 1'
  await run('own', ['colour=red'], script, '--rm', '--name', 'plugged')
  await until('all entries and the end', () => plugin.calls.some(({ verb }) => verb === 'LogDriver.StopLogging'))
  const { body } = plugin.calls.find(({ verb }) => verb === 'LogDriver.StartLogging') ?? assert.fail('not started')
  assert.deepEqual([body.Info.Config, body.Info.ContainerName], [{ colour: 'red' }, '/plugged'])
  await until('all entries', () => plugin.entries.length >= 4)
  const short = plugin.entries.filter(({ partialLogMetadata }) => partialLogMetadata === undefined)
  assert.deepEqual(short.map(({ source, line }) => `${source} ${line}`).sort(), ['stderr two', 'stdout one'])
  const pieces = plugin.entries.filter(({ partialLogMetadata }) => partialLogMetadata !== undefined)
  assert.equal(Buffer.concat(pieces.map(({ line }) => line)).toString(), 'x'.repeat(20_000))
  assert.deepEqual(
    pieces.map(({ partial, partialLogMetadata }) => [partial, partialLogMetadata?.ordinal, partialLogMetadata?.last]),
    [
      [true, 1, false],
      [false, 2, true],
    ],
  )
  const { stderr } = await docker.run(['run', '--log-driver', 'nobody', image])
  assert.match(stderr, /error looking up logging plugin nobody: plugin "nobody" not found/)
})

const python = existsSync('/usr/bin/python3') ? '/usr/bin/python3' : undefined
/** Node has no datagrams of unix sockets. */
const receive = `
import socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.bind(sys.argv[1])
print("ready", flush=True)
while True:
    print(s.recv(65536).hex(), flush=True)
`

test("journald: the journal's own protocol", {
  skip: skip || (python ? false : 'needs python3'),
  timeout,
}, async () => {
  const child = spawn(python ?? '', ['-c', receive, join(folder, 'journal')], { stdio: ['ignore', 'pipe', 'inherit'] })
  let printed = ''
  child.stdout.on('data', chunk => {
    printed += chunk
  })
  try {
    await until('it is there', () => printed.startsWith('ready'))
    await run(
      'journald',
      ['tag=t', 'labels=my.team'],
      'echo hello; echo bad >&2',
      '--rm',
      '--label',
      'my.team=red',
      '--name',
      'jour',
    )
    await until('both messages', () => printed.split('\n').length >= 4)
  } finally {
    child.kill('SIGKILL')
  }
  const messages = printed
    .split('\n')
    .slice(1, 3)
    .map(hex =>
      Object.fromEntries(
        Buffer.from(hex, 'hex')
          .toString()
          .trim()
          .split('\n')
          .map(field => field.split('=')),
      ),
    )
  assert.deepEqual(
    messages
      .map(({ MESSAGE, PRIORITY, CONTAINER_NAME, CONTAINER_TAG, MY_TEAM }) => [
        MESSAGE,
        PRIORITY,
        CONTAINER_NAME,
        CONTAINER_TAG,
        MY_TEAM,
      ])
      .sort(),
    [
      ['bad', '3', 'jour', 't', 'red'],
      ['hello', '6', 'jour', 't', 'red'],
    ],
  )
})
