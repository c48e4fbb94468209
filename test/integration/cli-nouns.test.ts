/** `gctr`'s nouns: listings for people and programs, a life of each kind of object, and clear refusals. */
import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { Daemon } from '../daemon/daemon.ts'
import { type CommandOutcome, runCommand } from '../daemon/run-command.ts'
import { sha256 } from '../fixtures/make-image.ts'
import { startRegistry } from '../registry/registry.ts'
import { runOnTerminal } from './pty.ts'

let daemon: Daemon
let image: string

before(async () => {
  daemon = await Daemon.start()
  image = await daemon.importBusybox()
})

after(async () => {
  await daemon?.[Symbol.asyncDispose]()
})

const gctr = (...words: string[]) => daemon.run(...words)

/** Its standard output; throws with what it said when it failed. */
async function ok(...words: string[]): Promise<string> {
  const { code, stdout, stderr } = await gctr(...words)
  assert.equal(code, 0, `gctr ${words.join(' ')}: ${stderr}`)
  return stdout
}

/** One line that matches, exit code 1. */
function refused({ code, stdout, stderr }: CommandOutcome, message: RegExp): void {
  assert.equal(code, 1, stderr)
  assert.equal(stdout, '')
  assert.match(stderr, message)
  assert.equal(stderr.trim().split('\n').length, 1, stderr)
}

const listings = [
  ['images', 'ls'],
  ['containers', 'ls'],
  ['tasks', 'ls'],
  ['ps'],
  ['ps', '--all'],
  ['snapshots', 'ls'],
  ['snapshots', 'tree'],
  ['snapshots', 'usage'],
  ['content', 'ls'],
  ['content', 'active'],
  ['leases', 'ls'],
  ['namespaces', 'ls'],
  ['networks', 'ls'],
  ['plugins', 'ls'],
]

test('every listing is a list in JSON, full and empty, and a table with aligned columns', async () => {
  await ok('run', '-d', '--name', 'listed', '--net', 'host', image, 'sleep', '1000')
  for (const words of listings)
    for (const namespace of ['default', 'empty'])
      assert.ok(Array.isArray(JSON.parse(await ok('--format', 'json', '-n', namespace, ...words))), words.join(' '))
  const [head = '', row = ''] = (await ok('ps')).split('\n')
  assert.equal(head.indexOf('STATUS'), row.indexOf('running'))
  assert.equal((await ok('-n', 'empty', 'images', 'ls')).trim().split('\n').length, 1)
  const [record] = JSON.parse(await ok('--format', 'json', 'ps')) as Record<string, unknown>[]
  assert.match(String(record?.createdAt), /^\d{4}-\d\d-\d\dT[\d:.]+Z$/)
  const info = JSON.parse(await ok('--format', 'json', 'containers', 'info', 'listed'))
  assert.deepEqual(info.spec.process.args, ['sleep', '1000'])
  assert.equal(JSON.parse(await ok('--format', 'json', 'tasks', 'metrics', 'listed')).id, 'listed')
  await ok('containers', 'rm', '-f', 'listed')
})

test('a container’s life, step by step', async () => {
  await ok(
    'containers',
    'create',
    '--name',
    'life',
    '--net',
    'host',
    image,
    'sh',
    '-c',
    'echo out; echo err >&2; exit 5',
  )
  assert.match(await ok('ps', '-a'), /life .*created/)
  for (const round of [1, 2]) {
    const started = await gctr('tasks', 'start', 'life')
    assert.deepEqual(started, { code: 5, stdout: 'out\n', stderr: 'err\n' }, `round ${round}`)
  }
  assert.equal((await gctr('tasks', 'wait', 'life')).code, 5)
  const printed = { code: 0, stdout: 'out\nout\n', stderr: 'err\nerr\n' }
  assert.deepEqual(await gctr('containers', 'logs', 'life'), printed)
  assert.deepEqual(await gctr('tasks', 'attach', '--replay', 'life'), { ...printed, code: 5 })
  assert.equal(await ok('containers', 'rm', 'life'), 'life\n')
})

test('logs follow, and stop with the container', async () => {
  await ok('run', '-d', '--name', 'talk', '--net', 'host', image, 'sh', '-c', 'echo 1; sleep 1; echo 2')
  assert.equal(await ok('containers', 'logs', '--follow', 'talk'), '1\n2\n')
  await ok('containers', 'rm', 'talk')
})

test('pause, resume, stop, kill', async () => {
  const script = 'trap "exit 3" TERM; echo ready; while :; do sleep 0.05; done'
  await ok('run', '-d', '--name', 'busy', '--net', 'host', image, 'sh', '-c', script)
  await ok('tasks', 'pause', 'busy')
  assert.match(await ok('ps'), /busy .*paused/)
  refused(await gctr('containers', 'rm', 'busy'), /"busy" has a task/)
  await ok('tasks', 'resume', 'busy')
  assert.equal(await ok('tasks', 'stop', '--time', '10s', 'busy'), '3\n')
  refused(await gctr('tasks', 'kill', '--signal', 'FOO', 'busy'), /signal "FOO"/)
  await ok('tasks', 'rm', 'busy')
  await ok('tasks', 'start', '--detach', 'busy')
  await ok('tasks', 'kill', '--signal', 'kill', 'busy')
  assert.equal((await gctr('tasks', 'wait', 'busy')).code, 137)
  await ok('containers', 'rm', 'busy')
})

test('images: tag, export, import, remove', async () => {
  assert.equal(await ok('images', 'tag', image, 'short'), 'docker.io/library/short:latest\n')
  refused(await gctr('images', 'tag', image, 'short'), /"docker.io\/library\/short:latest" \(use --force/)
  const file = join(daemon.folder, 'short.tar')
  await ok('images', 'export', file, 'short')
  await ok('images', 'rm', 'short')
  assert.equal(await ok('images', 'import', file), 'docker.io/library/short:latest\n')
  const bytes = await runCommand(['sh', '-c', `${daemon.gctr('images', 'export', '-', 'short').join(' ')} | tar -t`])
  assert.match(bytes.stdout, /^oci-layout$/m)
  await ok('images', 'rm', '--sync', 'short')
  const bad = await gctr('images', 'export', join(daemon.folder, 'no.tar'), 'short')
  assert.match(bad.stderr, /short:latest": not found/)
  assert.ok(!existsSync(join(daemon.folder, 'no.tar')))
  refused(
    await gctr('images', 'export', '/nowhere/x.tar', image),
    /file "\/nowhere\/x.tar" cannot be written \(ENOENT\)/,
  )
  refused(await gctr('images', 'import', '/nowhere'), /file "\/nowhere" cannot be read \(ENOENT\)/)
  await writeFile(join(daemon.folder, 'text'), 'no tar\n')
  assert.match((await gctr('images', 'import', join(daemon.folder, 'text'))).stderr, /gctr: the archive is no tar/)
})

test('images go to a registry and come back; an interrupted pull leaves nothing to see', async () => {
  await using registry = await startRegistry()
  const name = `${registry.host}/a/b:1`
  await ok('images', 'tag', image, name)
  await ok('images', 'push', name)
  await ok('images', 'rm', '--sync', name)
  const missing = await gctr('images', 'pull', `${registry.host}/a/b:2`)
  assert.match(missing.stderr, /a\/b:2.* 404: not found/)
  assert.equal(missing.code, 1)
  for (const delay of ['0.15', '0.3']) {
    const argv = ['timeout', '-s', 'INT', delay, ...daemon.gctr('-n', 'pulling', 'images', 'pull', name)]
    const { code } = await runCommand(argv)
    const seen = await ok('-n', 'pulling', 'images', 'ls', '-q')
    // The signal may come when all is done.
    if (code !== 124 || seen !== '') assert.equal(seen, `${name}\n`)
    if (seen !== '') await ok('-n', 'pulling', 'images', 'rm', '--sync', name)
  }
  assert.equal(await ok('-n', 'pulling', 'images', 'pull', name), `${name}\n`)
  assert.equal(await ok('-n', 'pulling', 'run', '--rm', '--net', 'host', name, 'echo', 'hi'), 'hi\n')
  assert.deepEqual(JSON.parse(await ok('--format', 'json', 'images', 'pull', name)).pulled, name)
  const bars = await runOnTerminal(daemon.gctr('images', 'pull', name), [])
  assert.equal(bars.code, 0)
})

test('leases, namespaces and content', async () => {
  assert.equal(await ok('leases', 'create', '--id', 'l1'), 'l1\n')
  refused(await gctr('leases', 'create', '--id', 'l1'), /lease "l1": already exists/)
  assert.equal(await ok('leases', 'rm', 'l1'), 'l1\n')
  refused(await gctr('leases', 'rm', 'l1'), /lease "l1": not found/)
  await ok('namespaces', 'create', 'ns1', '--label', 'a=b')
  refused(await gctr('namespaces', 'create', 'ns1'), /namespace "ns1": already exists/)
  await ok('namespaces', 'label', 'ns1', 'a=', 'c=d')
  assert.match(await ok('namespaces', 'ls'), /^ns1 +c=d$/m)
  await ok('namespaces', 'rm', 'ns1')
  refused(await gctr('namespaces', 'rm', 'default'), /"default" must be empty/)
  refused(await gctr('-n', 'a b', 'ps'), /"a b"/)
  const digest = sha256('hello\n')
  const ingest = (...words: string[]) => runCommand(daemon.gctr('content', 'ingest', ...words), { stdin: 'hello\n' })
  assert.equal((await ingest('r1')).stdout, `${digest}\n`)
  assert.equal(await ok('content', 'get', digest), 'hello\n')
  refused(await ingest('r2', '--expected', sha256('other')), /unexpected commit digest/)
  assert.equal(await ok('--format', 'json', 'content', 'active'), '[]\n')
  await ok('content', 'rm', digest)
  refused(await gctr('content', 'get', digest), /not found/)
})

test('networks: made, used, refused, removed', async () => {
  await ok('networks', 'create', 'n1', '--subnet', '10.213.7.0/24')
  refused(await gctr('networks', 'create', 'n1'), /network "n1": already exists/)
  refused(
    await gctr('networks', 'create', 'n2', '--subnet', '10.213.7.0/25'),
    /overlaps 10\.213\.7\.0\/24 of network "n1"/,
  )
  refused(await gctr('networks', 'create', 'n3', '--subnet', 'x'), /cidr "x"/)
  refused(await gctr('networks', 'create', 'n4', '--mtu', 'x'), /--mtu "x"/)
  refused(await gctr('networks', 'rm', 'bridge'), /built in/)
  const flags = ['--net', 'n1', '--net', 'bridge', '--ip', '10.213.7.77', '--mac-address', '02:00:00:00:00:07']
  const shown = await ok('run', '--rm', ...flags, image, 'sh', '-c', 'ip addr')
  assert.match(shown, /02:00:00:00:00:07[\s\S]*inet 10\.213\.7\.77\/24[\s\S]*eth1[\s\S]*inet 172\./)
  await ok('run', '-d', '--name', 'on-n1', '--net', 'n1', image, 'sleep', '1000')
  refused(await gctr('networks', 'rm', 'n1'), /"n1" has containers attached: on-n1/)
  await ok('containers', 'rm', '-f', 'on-n1')
  await ok('networks', 'rm', 'n1')
})

test('unknown objects are refused by name', async () => {
  const absent = [
    'containers info',
    'containers command',
    'containers rm',
    'containers rm -f',
    'containers logs',
    'tasks pause',
    'tasks kill',
    'tasks wait',
    'tasks stop',
    'tasks rm',
    'tasks ps',
    'tasks attach',
    'tasks metrics',
    'images rm',
    'networks inspect',
    'networks rm',
    'snapshots info',
    'snapshots rm',
    'leases rm',
  ]
  for (const words of absent) refused(await gctr(...words.split(' '), 'nobody'), /nobody.*(not found|not exist)/)
})

test('no daemon: one clear line and where to look', async () => {
  const { code, stderr } = await runCommand(daemon.gctr('--address', '/nowhere/gantryd.sock', 'ps'))
  assert.equal(code, 1)
  assert.match(stderr, /^gctr: .*\/nowhere\/gantryd\.sock.*\nIs gantryd running\?/)
})

test('events tell what happens, a JSON line each', async () => {
  const events = runCommand(['timeout', '5', ...daemon.gctr('--format', 'json', 'events', 'topic~="/tasks/"')])
  await new Promise(resolve => setTimeout(resolve, 1500))
  await ok('run', '--rm', '--name', 'told', '--net', 'host', image, 'true')
  const lines = (await events).stdout
    .trim()
    .split('\n')
    .map(line => JSON.parse(line))
  assert.deepEqual(
    lines.map(({ topic, event }) => [topic, event.containerId]),
    ['create', 'start', 'exit', 'delete'].map(verb => [`/tasks/${verb}`, 'told']),
  )
})

test('bash completes commands and flags, without the package bash-completion', async () => {
  const script = join(daemon.folder, 'completion.bash')
  await writeFile(script, (await runCommand(bare('completion', 'bash'))).stdout)
  const program = `
gctr() { ${bare()
    .map(word => `'${word}'`)
    .join(' ')} "$@"; }
compopt() { :; }
source ${script}
try() { COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)) COMPREPLY=(); $(complete -p gctr | sed 's/.*-F \\([^ ]*\\).*/\\1/'); echo "\${COMPREPLY[*]}"; }
try gctr im
try gctr images pu
try gctr run --memory-s
`
  const { stdout } = await runCommand(['bash', '-c', program])
  assert.deepEqual(
    stdout.split('\n').map(line => line.trim()),
    ['images', 'pull push', '--memory-swap', ''],
  )
  assert.match((await runCommand(bare('completion', 'zsh'))).stdout, /^#compdef gctr/)
})

/** gctr without the flags that Daemon puts before the command: completion comes first. */
function bare(...words: string[]): string[] {
  const argv = daemon.gctr()
  return [...argv.slice(0, argv.indexOf('--address')), ...words]
}
