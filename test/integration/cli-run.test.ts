/** `gctr run` and `gctr tasks exec` as a user meets them: exit codes, streams, terminals, signals, bad input. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { Daemon } from '../daemon/daemon.ts'
import { runCommand } from '../daemon/run-command.ts'
import { requireGone } from './leftovers.ts'
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

/** On the host's network, removed afterwards. */
const run = (flags: string[], ...command: string[]) =>
  daemon.run('run', '--rm', '--net', 'host', ...flags, image, ...command)

const containers = async () => (await daemon.run('containers', 'ls', '-q')).stdout

test('exit codes are Docker’s', async () => {
  assert.equal((await run([], 'true')).code, 0)
  assert.equal((await run([], 'sh', '-c', 'exit 42')).code, 42)
  assert.equal((await run([], 'sh', '-c', 'sleep 100 & kill -9 $!; wait $!')).code, 137)
  const cases: [number, RegExp, string[]][] = [
    [127, /"no-such-program": executable file not found in \$PATH/, ['no-such-program']],
    [127, /"\/no\/such": no such file or directory/, ['/no/such']],
    [126, /"\/etc\/passwd": permission denied/, ['/etc/passwd']],
    [126, /"\/etc": is a directory/, ['/etc']],
  ]
  for (const [code, message, command] of cases) {
    const outcome = await run([], ...command)
    assert.equal(outcome.code, code, outcome.stderr)
    assert.match(outcome.stderr, message)
  }
  assert.equal(await containers(), '')
})

test('what cannot be made is one line that names it, 125, and nothing stays', async () => {
  const folder = daemon.folder
  const cases: [string[], RegExp][] = [
    [['--no-such-flag', image], /unknown option '--no-such-flag'/],
    [['test.example/none:1'], /image "test.example\/none:1": not found/],
    [['UPPER'], /"UPPER" is no image name/],
    [['--net', 'nowhere', image], /network "nowhere": not found/],
    [['--name', '../x', image], /"\.\.\/x"/],
    [['--user', 'ghost', image], /ghost/],
    [['--memory', 'much', image], /--memory "much"/],
    [['--cpus', 'x', image], /--cpus "x"/],
    [['--publish', 'http', image], /--publish "http"/],
    [['--env-file', '/nowhere', image], /--env-file "\/nowhere" cannot be read \(ENOENT\)/],
    [['--volume', `${folder}/absent:/x`, image], /absent" of the bind mount at "\/x" does not exist/],
    [['--mount', 'type=bind,dst=/x', image], /--mount "type=bind,dst=\/x" names no source/],
    [['--mount', 'type=bind,src=/,dst=/x,rw=1', image], /has "rw=1"/],
    [['--cap-add', 'NOPE', image], /capability "NOPE"/],
    [['--ulimit', 'nofile=x', image], /--ulimit "nofile=x"/],
    [['--sysctl', 'kernel.panic=1', image], /sysctl "kernel.panic"/],
    [['--device', '/dev/nope', image], /device "\/dev\/nope"/],
    [['--dns', 'x', image], /--dns "x"/],
    [['--add-host', 'x', image], /--add-host "x"/],
    [['--ip', '1.2.3.4', image], /address 1\.2\.3\.4 is outside the subnet/],
    [['--platform', 'linux/s390x', image], /s390x/],
    [['--snapshotter', 'nope', image], /nope/],
    [['--runtime', 'nope', image], /runtime "nope"/],
    [['--security-opt', 'seccomp=/nowhere', image], /"\/nowhere" cannot be read/],
  ]
  for (const [words, message] of cases) {
    const { code, stderr } = await daemon.run('run', '--rm', ...words)
    assert.equal(code, 125, `${words.join(' ')}: ${stderr}`)
    assert.match(stderr, message)
    assert.doesNotMatch(stderr, /\n {4}at /, 'no stack')
  }
  assert.equal(await containers(), '')
})

test('standard input: piped, at its end at once, from a file, not asked for', async () => {
  const argv = (...flags: string[]) => daemon.gctr('run', '--rm', '--net', 'host', ...flags, image, 'cat')
  assert.equal((await runCommand(argv('-i'), { stdin: 'a\nb' })).stdout, 'a\nb')
  const quoted = (words: string[]) => words.map(word => `'${word}'`).join(' ')
  const shell = (line: string) => runCommand(['sh', '-c', line])
  assert.deepEqual(await shell(`${quoted(argv('-i'))} </dev/null`), { code: 0, stdout: '', stderr: '' })
  await writeFile(join(daemon.folder, 'input'), 'of a file\n')
  assert.equal((await shell(`${quoted(argv('-i'))} <${daemon.folder}/input`)).stdout, 'of a file\n')
  assert.equal((await runCommand(argv(), { stdin: 'unread' })).stdout, '')
})

test('100 MB of output arrive whole', { timeout: 120_000 }, async () => {
  const line = '0123456789'.repeat(8)
  const script = `while :; do echo ${line}; done | head -c ${100 << 20}`
  const flags = ['run', '--rm', '--net', 'host', '--log-driver', 'none', image, 'sh', '-c', script]
  const [file = '', ...args] = daemon.gctr(...flags)
  const child = spawn(file, args, { stdio: ['ignore', 'pipe', 'inherit'] })
  const hash = createHash('sha256')
  for await (const chunk of child.stdout as AsyncIterable<Buffer>) hash.update(chunk)
  const expected = Buffer.alloc(100 << 20, `${line}\n`)
  assert.equal(hash.digest('hex'), createHash('sha256').update(expected).digest('hex'))
})

test('a reader that leaves ends the command quietly', async () => {
  const argv = daemon.gctr(
    'run',
    '--rm',
    '--net',
    'host',
    '--name',
    'endless',
    image,
    'sh',
    '-c',
    'while :; do echo y; done',
  )
  const line = `{ ${argv.map(word => `'${word}'`).join(' ')}; echo $? >&2; } | head -n 1`
  assert.deepEqual(await runCommand(['sh', '-c', line]), { code: 0, stdout: 'y\n', stderr: '141\n' })
  assert.equal((await daemon.run('containers', 'rm', '--force', 'endless')).code, 0)
})

test('signals reach the container', async () => {
  const script = 'trap "echo got; exit 9" TERM; echo ready; while :; do sleep 0.05; done'
  const [file = '', ...args] = daemon.gctr('run', '--rm', '--net', 'host', image, 'sh', '-c', script)
  const child = spawn(file, args, { stdio: ['ignore', 'pipe', 'inherit'] })
  let output = ''
  child.stdout.on('data', chunk => {
    if (output === '') child.kill('SIGTERM')
    output += chunk
  })
  assert.deepEqual(await once(child, 'close'), [9, null])
  assert.equal(output, 'ready\ngot\n')
  assert.equal(await containers(), '')
})

test('a terminal: its size, raw output, detach keys, attach again, exit code', async () => {
  const argv = daemon.gctr('run', '-it', '--rm', '--net', 'host', '--name', 'term', image, 'sh')
  const first = await runOnTerminal(argv, [
    { after: '# ', type: 'stty size; test -t 0 && echo t""ty\n' },
    { after: 'tty\r\n', type: '\x10\x11' },
  ])
  assert.equal(first.code, 0, first.stdout)
  assert.match(first.stdout, /[^\r]\r\n/)
  assert.doesNotMatch(first.stdout, /\r\r\n/)
  assert.match(first.stdout, /\n24 80\r\ntty\r\n/)
  assert.match((await daemon.run('ps')).stdout, /term .*running/)
  const second = await runOnTerminal(daemon.gctr('tasks', 'attach', 'term'), [
    { after: '', type: 'echo again$((1+1))\n' },
    { after: 'again2', type: 'exit 4\n' },
  ])
  assert.equal(second.code, 4, second.stdout)
  await daemon.run('containers', 'rm', '--force', 'term')
})

test('exec: streams, exit codes, user, folder, environment, terminal, detached', async () => {
  await daemon.run('run', '-d', '--name', 'shell', '--net', 'host', image, 'sleep', '1000')
  const exec = (...words: string[]) => daemon.run('tasks', 'exec', ...words)
  assert.deepEqual(await exec('shell', 'sh', '-c', 'echo out; echo err >&2; exit 7'), {
    code: 7,
    stdout: 'out\n',
    stderr: 'err\n',
  })
  assert.equal((await exec('shell', 'nosuch')).code, 127)
  assert.equal((await exec('shell', '/etc/passwd')).code, 126)
  assert.equal((await exec('absent', 'true')).code, 125)
  const { stdout } = await exec(
    '-u',
    'nobody',
    '-w',
    '/tmp',
    '-e',
    'A=b',
    '-e',
    'PATH=/bin:/x',
    'shell',
    'sh',
    '-c',
    'id -u; pwd; echo $A $PATH',
  )
  assert.equal(stdout, '65534\n/tmp\nb /bin:/x\n')
  assert.equal((await runCommand(daemon.gctr('tasks', 'exec', '-i', 'shell', 'cat'), { stdin: 'in' })).stdout, 'in')
  const shown = await runOnTerminal(daemon.gctr('tasks', 'exec', '-it', 'shell', 'sh'), [
    { after: '# ', type: 'exit 3\n' },
  ])
  assert.equal(shown.code, 3, shown.stdout)
  assert.match((await exec('-d', '--exec-id', 'apart', 'shell', 'sleep', '1000')).stdout, /^apart\n$/)
  assert.equal((await daemon.run('tasks', 'ps', 'shell')).stdout.trim().split('\n').length, 3)
  await daemon.run('containers', 'rm', '--force', 'shell')
  await requireGone(daemon, 'shell')
})

test('names and ports that are taken say by whom, and are free again afterwards', async () => {
  const server = createServer().listen(0, '0.0.0.0')
  await once(server, 'listening')
  const { port } = server.address() as { port: number }
  const web = ['run', '-d', '--name', 'web', '-p', `${port}:80`, image, 'httpd', '-f', '-p', '80']
  const taken = await daemon.run(...web)
  assert.equal(taken.code, 125)
  assert.match(taken.stderr, new RegExp(`port 0.0.0.0:${port}/tcp is taken by process .*pid ${process.pid}`))
  server.close()
  await once(server, 'close')
  assert.deepEqual(await daemon.run(...web), { code: 0, stdout: 'web\n', stderr: '' })
  assert.match(
    (await daemon.run('ps')).stdout,
    new RegExp(`web +\\S+ +running +\\d+ +172[\\d.]+,\\S+ +0\\.0\\.0\\.0:${port}->80/tcp`),
  )
  const again = await daemon.run(...web)
  assert.deepEqual([again.code, again.stderr], [125, 'gctr: container "web": already exists\n'])
  const other = await daemon.run('run', '--rm', '-p', `${port}:80`, image, 'true')
  assert.match(other.stderr, /is taken by container default\/web/)
  assert.equal(other.code, 125)
  await daemon.run('containers', 'rm', '--force', 'web')
  assert.equal((await daemon.run('run', '--rm', '-p', `${port}:80`, image, 'true')).code, 0)
  assert.equal(await containers(), '')
})

test('what the flags ask for is there', async () => {
  await writeFile(join(daemon.folder, 'env'), '# comment\n\nA=1\nB=two words\n')
  const flags = ['--env-file', join(daemon.folder, 'env'), '-e', 'A=2', '-w', '/new', '--hostname', 'h1', '--read-only']
  const more = [
    '--tmpfs',
    '/tmp:size=1m',
    '-v',
    `${daemon.folder}/env:/x:ro`,
    '--cap-drop',
    'ALL',
    '--entrypoint',
    'sh',
  ]
  const script =
    'echo $A $B; pwd; hostname; echo x 2>&1 >/f || echo ro; echo x >/tmp/f && cat /x; grep CapEff /proc/self/status'
  const { stdout, code } = await daemon.run(
    'run',
    '--rm',
    '--net',
    'none',
    ...flags,
    ...more,
    '-m',
    '32m',
    '--pids-limit',
    '50',
    image,
    '-c',
    script,
  )
  assert.equal(code, 0)
  assert.match(stdout, /^2 two words\n\/new\nh1\n(.*Read-only.*\n)?ro\n# comment\n\nA=1\nB=two words\nCapEff:\s0+\n$/)
})
