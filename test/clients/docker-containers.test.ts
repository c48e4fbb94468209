/** The docker command on containers: every verb, as people type it. */
import assert from 'node:assert/strict'
import { mkdir, readdir, readFile, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { runOnTerminal } from '../integration/pty.ts'
import { Scoreboard } from '../interop/scoreboard.ts'
import { until } from './conditions.ts'
import { Docker, dockerCommand } from './docker.ts'

const skip = dockerCommand === undefined ? 'no docker command (apt-get install docker.io)' : false

type Verb = (part: string, name: string, body: () => Promise<void>) => Promise<void>

const image = 'busybox:test'

test('docker on containers', { skip }, async t => {
  await using docker = await Docker.start()
  using board = new Scoreboard()
  const verb: Verb = (part, name, body) => board.verb(t as TestContext, `docker: ${part}`, name, body)
  await docker.importBusybox(image)
  await runs(docker, verb)
  await terminals(docker, verb)
  await life(docker, verb)
  await execs(docker, verb)
  await logs(docker, verb)
  await files(docker, verb)
  await configuration(docker, verb)
  await policies(docker, verb)
})

async function runs(docker: Docker, verb: Verb): Promise<void> {
  await verb('run', 'output, errors and exit codes', async () => {
    const outcome = await docker.run(['run', '--rm', image, 'sh', '-c', 'echo out; echo err >&2; exit 3'])
    assert.deepEqual(outcome, { code: 3, stdout: 'out\n', stderr: 'err\n' })
  })
  await verb('run', '127 for a command that is not there, and nothing is left', async () => {
    const { code, stderr } = await docker.run(['run', '--rm', image, 'nosuchcmd'])
    assert.equal(code, 127)
    assert.match(stderr, /executable file not found in \$PATH/)
    assert.equal(await docker.ok('ps', '-aq'), '')
  })
  await verb('run', 'standard input goes in and ends', async () => {
    const { stdout } = await docker.run(['run', '--rm', '-i', image, 'wc', '-c'], { stdin: 'x'.repeat(100_000) })
    assert.equal(stdout.trim(), '100000')
  })
  await verb('run', 'a name is taken once', async () => {
    const id = await docker.ok('run', '-d', '--name', 'taken', image, 'sleep', '1000')
    const { code, stderr } = await docker.run(['run', '--name', 'taken', image, 'true'])
    assert.equal(code, 125)
    assert.match(stderr, new RegExp(`Conflict. The container name "/taken" is already in use by container "${id}"`))
    await docker.ok('rm', '-f', 'taken')
  })
}

async function terminals(docker: Docker, verb: Verb): Promise<void> {
  await verb('terminal', 'run -it: typed, resized, exit code', async () => {
    const { stdout, code } = await runOnTerminal(docker.argv('run', '--rm', '-it', image, 'sh'), [
      { after: '#', type: 'echo a$((1+1))b; exit 4\n' },
    ])
    assert.match(stdout, /a2b/)
    assert.equal(code, 4)
  })
  await verb('terminal', 'the detach keys leave it running; attach comes back', async () => {
    const { code } = await runOnTerminal(docker.argv('run', '-it', '--name', 'away', image, 'sh'), [
      { after: '#', type: '\x10\x11' },
    ])
    assert.equal(code, 0)
    assert.equal(await docker.ok('inspect', '-f', '{{.State.Running}}', 'away'), 'true')
    const back = await runOnTerminal(docker.argv('attach', 'away'), [{ after: '#', type: 'exit 6\n' }])
    assert.equal(back.code, 6)
    await docker.ok('rm', 'away')
  })
  await verb('terminal', 'exec -it', async () => {
    await docker.ok('run', '-d', '--name', 'room', image, 'sleep', '1000')
    const { stdout, code } = await runOnTerminal(docker.argv('exec', '-it', 'room', 'sh'), [
      { after: '#', type: 'tty; exit 7\n' },
    ])
    assert.match(stdout, /\/dev\/pts\//)
    assert.equal(code, 7)
    await docker.ok('rm', '-f', 'room')
  })
}

async function life(docker: Docker, verb: Verb): Promise<void> {
  const state = (name: string) => docker.ok('inspect', '-f', '{{.State.Status}} {{.State.ExitCode}}', name)
  await verb('life', 'create, start, pause, unpause, stop, start, restart, kill, wait, rm', async () => {
    await docker.ok('create', '--name', 'life', image, 'sleep', '1000')
    assert.equal(await state('life'), 'created 0')
    await docker.ok('start', 'life')
    assert.equal(await state('life'), 'running 0')
    await docker.ok('pause', 'life')
    assert.equal(await state('life'), 'paused 0')
    await docker.ok('unpause', 'life')
    await docker.ok('stop', '-t', '0', 'life')
    assert.equal(await state('life'), 'exited 137')
    await docker.ok('start', 'life')
    await docker.ok('restart', '-t', '0', 'life')
    await docker.ok('kill', 'life')
    assert.equal(await docker.ok('wait', 'life'), '137')
    await docker.ok('rm', 'life')
    assert.match((await docker.run(['inspect', 'life'])).stderr, /No such object: life/)
  })
  await verb('life', 'rename, update, top, stats, port', async () => {
    await docker.ok('run', '-d', '--name', 'old', '-p', '127.0.0.1::80', image, 'sleep', '1000')
    await docker.ok('rename', 'old', 'new')
    await docker.ok('update', '--memory', '64m', '--memory-swap', '64m', 'new')
    assert.equal(await docker.ok('inspect', '-f', '{{.HostConfig.Memory}}', 'new'), `${64 * 1024 * 1024}`)
    assert.match(await docker.ok('top', 'new'), /sleep 1000/)
    assert.match(
      await docker.ok('stats', '--no-stream', '--format', '{{.Name}} {{.MemUsage}}', 'new'),
      /^new .*\/ 64MiB/,
    )
    assert.match(await docker.ok('port', 'new'), /^80\/tcp -> 127\.0\.0\.1:\d+$/)
    assert.match((await docker.run(['rm', 'new'])).stderr, /container is running: stop the container before removing/)
    await docker.ok('rm', '-f', 'new')
  })
  await verb('life', 'ps with filters', async () => {
    await docker.ok('run', '-d', '--name', 'one', '--label', 'a=b', image, 'sleep', '1000')
    await docker.run(['run', '--name', 'two', image, 'sh', '-c', 'exit 5'])
    const names = (...filters: string[]) =>
      docker.ok('ps', '-a', '--format', '{{.Names}}', ...filters.flatMap(filter => ['--filter', filter]))
    assert.equal(await names('label=a=b'), 'one')
    assert.equal(await names('exited=5'), 'two')
    assert.equal(await names('status=running'), 'one')
    assert.equal(await names('name=tw'), 'two')
    assert.equal(await names('since=one'), 'two')
    assert.equal((await names(`ancestor=${image}`)).split('\n').length, 2)
    assert.match((await docker.run(['ps', '--filter', 'nosuch=1'])).stderr, /invalid filter 'nosuch'/)
    await docker.ok('rm', '-f', 'one')
    assert.match(await docker.ok('container', 'prune', '-f'), /Total reclaimed space/)
    assert.equal(await docker.ok('ps', '-aq'), '')
  })
}

async function execs(docker: Docker, verb: Verb): Promise<void> {
  await docker.ok('run', '-d', '--name', 'host', image, 'sleep', '1000')
  await verb('exec', 'input that ends at once costs no output', async () => {
    await docker.ok('run', '-d', '--name', 'quick', image, 'sleep', '1000')
    const outputs = await Promise.all(
      Array.from({ length: 30 }, () => docker.run(['exec', '-i', 'quick', 'echo', 'all of it'], { stdin: '' })),
    )
    assert.deepEqual(
      outputs.map(({ stdout }) => stdout),
      outputs.map(() => 'all of it\n'),
    )
    await docker.ok('rm', '-f', 'quick')
  })
  await verb('exec', 'output, environment, directory, user, exit code', async () => {
    const flags = ['-e', 'A=1', '-w', '/tmp', '-u', 'nobody']
    const outcome = await docker.run(['exec', ...flags, 'host', 'sh', '-c', 'echo $A; pwd; id -u; exit 9'])
    assert.deepEqual(outcome, { code: 9, stdout: '1\n/tmp\n65534\n', stderr: '' })
  })
  await verb('exec', 'standard input', async () => {
    const { stdout } = await docker.run(['exec', '-i', 'host', 'cat'], { stdin: 'typed\n' })
    assert.equal(stdout, 'typed\n')
  })
  await verb('exec', '127 for a command that is not there', async () => {
    assert.equal((await docker.run(['exec', 'host', 'nosuchcmd'])).code, 127)
  })
  await verb('exec', 'detached', async () => {
    await docker.ok('exec', '-d', 'host', 'sh', '-c', 'echo there > /tmp/mark')
    await until(async () => (await docker.run(['exec', 'host', 'cat', '/tmp/mark'])).stdout === 'there\n')
  })
  await docker.ok('rm', '-f', 'host')
  await verb('exec', 'not in one that does not run', async () => {
    await docker.ok('create', '--name', 'still', image, 'true')
    assert.match((await docker.run(['exec', 'still', 'true'])).stderr, /is not running/)
    await docker.ok('rm', 'still')
  })
}

async function logs(docker: Docker, verb: Verb): Promise<void> {
  await docker.ok(
    'run',
    '--name',
    'talker',
    image,
    'sh',
    '-c',
    'for i in 1 2 3 4 5; do echo line $i; done; echo bad >&2',
  )
  await verb('logs', 'all, tail, timestamps, since', async () => {
    assert.equal((await docker.run(['logs', 'talker'])).stderr, 'bad\n')
    assert.equal((await docker.run(['logs', '--tail', '2', 'talker'])).stdout, 'line 5\n')
    assert.match(await docker.ok('logs', '-t', '--tail', '2', 'talker'), /^\d{4}-.*Z line 5$/)
    assert.equal(await docker.ok('logs', '--since', '2999-01-01T00:00:00Z', 'talker'), '')
    assert.equal(await docker.ok('logs', '--until', '2000-01-01T00:00:00Z', 'talker'), '')
  })
  await docker.ok('rm', 'talker')
  await verb('logs', 'followed to the end', async () => {
    await docker.ok('run', '-d', '--name', 'slow', image, 'sh', '-c', 'for i in 1 2 3; do echo $i; sleep 0.2; done')
    assert.equal(await docker.ok('logs', '-f', 'slow'), '1\n2\n3')
    await docker.ok('rm', '-f', 'slow')
  })
}

async function files(docker: Docker, verb: Verb): Promise<void> {
  const at = (...path: string[]) => join(docker.folder, ...path)
  await mkdir(at('in/deep'), { recursive: true })
  await writeFile(at('in/deep/file'), 'content')
  await docker.ok('run', '-d', '--name', 'box', '-v', 'boxdata:/data', image, 'sh', '-c', 'rm /bin/wget; sleep 1000')
  await verb('files', 'cp into and out of a running container', async () => {
    await docker.ok('cp', at('in'), 'box:/tmp/')
    assert.equal(await docker.ok('exec', 'box', 'cat', '/tmp/in/deep/file'), 'content')
    await docker.ok('cp', 'box:/tmp/in/.', at('out'))
    assert.equal(await readFile(at('out/deep/file'), 'utf8'), 'content')
    assert.match(
      (await docker.run(['cp', 'box:/nosuch', at('x')])).stderr,
      /Could not find the file \/nosuch in container box/,
    )
  })
  await verb('files', 'a link in the container leads nowhere else', async () => {
    await docker.ok('exec', 'box', 'ln', '-s', '/etc', '/tmp/link')
    await docker.ok('cp', at('in/deep/file'), 'box:/tmp/link/planted')
    assert.equal(await docker.ok('exec', 'box', 'cat', '/etc/planted'), 'content')
    await assert.rejects(readFile('/etc/planted'), { code: 'ENOENT' })
    await docker.ok('exec', 'box', 'ln', '-s', '../../../../../../..', '/tmp/up')
    await docker.ok('cp', at('in/deep/file'), 'box:/tmp/up/planted')
    await assert.rejects(readFile('/planted'), { code: 'ENOENT' })
  })
  await verb('files', 'diff', async () => {
    const changes = (await docker.ok('diff', 'box')).split('\n')
    for (const change of ['D /bin/wget', 'A /tmp/in/deep/file', 'A /etc/planted'])
      assert.ok(changes.includes(change), change)
  })
  await docker.ok('stop', '-t', '0', 'box')
  await verb('files', 'cp with a volume of a stopped container', async () => {
    await docker.ok('cp', at('in/deep/file'), 'box:/data/kept')
    await docker.ok('cp', 'box:/data/kept', at('kept'))
    assert.equal(await readFile(at('kept'), 'utf8'), 'content')
    assert.equal(await docker.ok('run', '--rm', '-v', 'boxdata:/d', image, 'cat', '/d/kept'), 'content')
  })
  await verb('files', 'an archive with a link does not write through it', async () => {
    await mkdir(at('evil'))
    await symlink('/', at('evil/root'))
    await docker.ok('cp', at('evil'), 'box:/tmp/')
    assert.deepEqual(await readdir(at('evil')), ['root'])
  })
  await verb('files', 'export and commit', async () => {
    await docker.ok('export', '-o', at('box.tar'), 'box')
    await docker.ok('commit', '-c', 'CMD ["cat", "/tmp/in/deep/file"]', 'box', 'boxed:1')
    assert.equal(await docker.ok('run', '--rm', 'boxed:1'), 'content')
  })
  await docker.ok('rm', '-v', 'box')
}

async function configuration(docker: Docker, verb: Verb): Promise<void> {
  const run = (...flags: string[]) => docker.ok('run', '--rm', ...flags)
  await verb('options', 'environment, hostname, user, directory, read-only, entrypoint', async () => {
    const flags = ['-e', 'X=y', '-h', 'named', '-u', '1:2', '-w', '/tmp', '--read-only', '--entrypoint', 'sh']
    const script = 'echo $X; hostname; id -u; id -g; pwd; touch /tmp/x 2>/dev/null || echo readonly'
    assert.equal(await run(...flags, image, '-c', script), 'y\nnamed\n1\n2\n/tmp\nreadonly')
  })
  await verb('options', 'mounts of each type', async () => {
    await writeFile(join(docker.folder, 'bound'), 'bound')
    const flags = [
      ...['-v', `${join(docker.folder, 'bound')}:/b:ro`, '--tmpfs', '/t:size=1m'],
      ...['--mount', 'type=volume,source=typed,target=/v', '--mount', 'type=tmpfs,target=/m,tmpfs-mode=700'],
    ]
    assert.equal(
      await run(...flags, image, 'sh', '-c', 'cat /b; echo; stat -f -c %T /t; touch /v/x && stat -c %a /m'),
      'bound\ntmpfs\n700',
    )
  })
  await verb('options', 'a new volume gets what the image has', async () => {
    assert.match(await run('-v', 'filled:/etc', image, 'cat', '/etc/passwd'), /^root:/)
  })
  await verb('options', 'limits, capabilities, sysctls, ulimits', async () => {
    const flags = ['--memory', '64m', '--pids-limit', '50', '--cap-drop', 'ALL', '--cap-add', 'CHOWN']
    const more = ['--sysctl', 'net.ipv4.ip_unprivileged_port_start=0', '--ulimit', 'nofile=100:200']
    const script = 'grep CapEff /proc/self/status; ulimit -n; cat /proc/sys/net/ipv4/ip_unprivileged_port_start'
    assert.equal(await run(...flags, ...more, image, 'sh', '-c', script), 'CapEff:\t0000000000000001\n100\n0')
  })
  await verb('options', 'hosts, dns, links', async () => {
    await docker.ok('run', '-d', '--name', 'target', image, 'sleep', '1000')
    const flags = ['--add-host', 'far:10.1.2.3', '--dns', '10.9.8.7', '--dns-search', 'corp']
    const script = 'grep far /etc/hosts; cat /etc/resolv.conf'
    const text = await run(...flags, image, 'sh', '-c', script)
    assert.match(text, /^10\.1\.2\.3\s+far/)
    assert.match(text, /search corp/)
    await docker.ok('rm', '-f', 'target')
  })
  await verb('options', 'namespaces of another container', async () => {
    await docker.ok('run', '-d', '--name', 'base', '--ipc', 'shareable', image, 'sleep', '1000')
    const script = 'readlink /proc/self/ns/net; readlink /proc/self/ns/ipc'
    const own = await docker.ok('exec', 'base', 'sh', '-c', script)
    assert.equal(await run('--network', 'container:base', '--ipc', 'container:base', image, 'sh', '-c', script), own)
    await docker.ok('rm', '-f', 'base')
  })
  await verb('options', 'refused in words', async () => {
    const refusal = async (...flags: string[]) => (await docker.run(['create', ...flags, image, 'true'])).stderr
    assert.match(await refusal('--memory', '1m'), /Minimum memory limit allowed is 6MB/)
    assert.match(await refusal('--security-opt', 'nosuch=1'), /invalid --security-opt 2/)
    assert.match(
      await refusal('--mount', 'type=bind,source=/no/such,target=/x'),
      /bind source path does not exist: \/no\/such/,
    )
    assert.match(await refusal('-v', 'a:relative'), /mount path must be absolute/)
    assert.match(
      await refusal('--log-driver', 'nosuch'),
      /error looking up logging plugin nosuch: plugin "nosuch" not found/,
    )
  })
}

async function policies(docker: Docker, verb: Verb): Promise<void> {
  const inspect = (name: string, format: string) => docker.ok('inspect', '-f', format, name)
  await verb('policies', 'on-failure gives up', async () => {
    await docker.ok('run', '-d', '--name', 'failing', '--restart', 'on-failure:1', image, 'sh', '-c', 'exit 1')
    await until(async () => (await inspect('failing', '{{.RestartCount}} {{.State.Status}}')) === '1 exited')
    await docker.ok('rm', 'failing')
  })
  await verb('policies', 'health: starting, healthy, unhealthy', async () => {
    const check = ['--health-cmd', 'test -f /tmp/ok', '--health-interval', '200ms', '--health-retries', '1']
    const script = 'touch /tmp/ok; sleep 1000'
    await docker.ok('run', '-d', '--name', 'patient', ...check, image, 'sh', '-c', script)
    await until(async () => (await inspect('patient', '{{.State.Health.Status}}')) === 'healthy')
    assert.match(await docker.ok('ps', '--format', '{{.Status}}', '--filter', 'health=healthy'), /\(healthy\)$/)
    await docker.ok('exec', 'patient', 'rm', '/tmp/ok')
    await until(async () => (await inspect('patient', '{{.State.Health.Status}}')) === 'unhealthy')
    await docker.ok('rm', '-f', 'patient')
  })
}
