/** Debian's dockerd 20.10 and its docker on our socket. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Daemon } from '../daemon/daemon.ts'
import { runCommand } from '../daemon/run-command.ts'
import { eventually, type Try, trying } from './container-verbs.ts'
import { debian, lacking } from './ctr.ts'
import { Dockerd, dockerFiles } from './dockerd.ts'
import { Scoreboard } from './scoreboard.ts'

// dockerd 20.10 asks for io.containerd.runc.v2, with BinaryName "runc", whatever it is told to run.
const kinds = [
  { by: 'our shim', config: '', skip: lacking(dockerFiles.dockerd, dockerFiles.docker, debian.runc) },
  {
    by: 'runc’s shim',
    config: '[containers]\nruntimes = {}\n',
    skip: lacking(dockerFiles.dockerd, dockerFiles.docker, debian.runcShim, debian.runc),
  },
]

for (const { by, config, skip } of kinds)
  test(`dockerd runs on our socket by ${by}`, { skip }, async t => {
    using board = new Scoreboard()
    await using daemon = await Daemon.start({ config })
    await using dockerd = await Dockerd.start(daemon.address)
    const image = await dockerd.importBusybox()
    const verb = trying(t, board, `dockerd 20.10, ${by}`)
    await lifeVerbs(verb, dockerd, image)
    await streamVerbs(verb, dockerd, image)
    await restartVerbs(verb, dockerd, daemon, image)
  })

const alone = ['--network', 'none']

async function lifeVerbs(verb: Try, docker: Dockerd, image: string): Promise<void> {
  const state = () => docker.ok('inspect', '--format', '{{.State.Status}} {{.State.ExitCode}}', 'c1')
  await verb('run --rm', async () => assert.equal(await docker.ok('run', '--rm', ...alone, image, 'echo', 'hi'), 'hi'))
  await verb('run --network host', async () =>
    assert.equal(await docker.ok('run', '--rm', '--network', 'host', image, 'echo', 'hi'), 'hi'),
  )
  await verb('run: exit code', async () =>
    assert.equal((await docker.outcome(['run', '--rm', ...alone, image, 'sh', '-c', 'exit 7'])).code, 7),
  )
  await verb('run: a command that is not there', async () => {
    const { code, stderr } = await docker.outcome(['run', '--rm', ...alone, image, '/nope'])
    assert.match(stderr, /no such file or directory/)
    assert.equal(code, 127)
  })
  await verb('run -d', async () => {
    await docker.ok('run', '-d', '--name', 'c1', ...alone, image, 'sleep', '1000')
    assert.equal(await state(), 'running 0')
  })
  await verb('exec', async () => {
    assert.equal(await docker.ok('exec', 'c1', 'echo', 'within'), 'within')
    assert.equal((await docker.outcome(['exec', 'c1', 'sh', '-c', 'exit 4'])).code, 4)
  })
  await verb('top', async () => assert.match(await docker.ok('top', 'c1'), /sleep 1000/))
  await verb('stats', async () => assert.match(await docker.ok('stats', '--no-stream', 'c1'), /\d[KM]iB \/ .*\s1$/))
  await verb('pause, unpause', async () => {
    await docker.ok('pause', 'c1')
    assert.equal(await state(), 'paused 0')
    await docker.ok('unpause', 'c1')
    assert.equal(await state(), 'running 0')
  })
  await verb('update', async () => {
    await docker.ok('update', '--memory', '64m', '--memory-swap', '64m', 'c1')
    assert.match(await docker.ok('stats', '--no-stream', 'c1'), /\/ 64MiB/)
  })
  await verb('stop', async () => {
    await docker.ok('stop', '--time', '1', 'c1')
    assert.equal(await state(), 'exited 137')
  })
  await verb('start, restart', async () => {
    await docker.ok('start', 'c1')
    await docker.ok('restart', '--time', '0', 'c1')
    assert.equal(await state(), 'running 0')
  })
  await verb('kill, wait', async () => {
    await docker.ok('kill', 'c1')
    assert.equal(await docker.ok('wait', 'c1'), '137')
  })
  await verb('rm', async () => {
    await docker.ok('rm', 'c1')
    assert.equal(await docker.ok('ps', '-aq'), '')
  })
}

async function streamVerbs(verb: Try, docker: Dockerd, image: string): Promise<void> {
  await verb('run -i', async () => {
    const outcome = await docker.outcome(['run', '-i', '--rm', ...alone, image, 'cat'], { stdin: 'line\n' })
    assert.equal(outcome.stdout, 'line\n')
  })
  await verb('run -it', async () => {
    const command = docker.argv('run', '-it', '--rm', ...alone, image, 'sh', '-c', '"tty; exit 5"').join(' ')
    const outcome = await runCommand(['script', '--quiet', '--return', '--command', command, '/dev/null'])
    assert.match(outcome.stdout, /\/dev\/pts\/0/)
    assert.equal(outcome.code, 5)
  })
  await verb('logs', async () => {
    await docker.ok('run', '-d', '--name', 'c2', ...alone, image, 'sh', '-c', 'echo out; echo err >&2; cat')
    await eventually(async () => {
      const { stdout, stderr } = await docker.outcome(['logs', 'c2'])
      assert.deepEqual([stdout, stderr], ['out\n', 'err\n'])
    })
    await docker.ok('rm', '--force', 'c2')
  })
  await verb('attach', async () => {
    await docker.ok('run', '-d', '--name', 'c3', ...alone, image, 'sh', '-c', 'sleep 1; echo late; exit 3')
    const outcome = await docker.outcome(['attach', '--no-stdin', 'c3'])
    assert.equal(outcome.stdout, 'late\n')
    assert.equal(outcome.code, 3)
    await docker.ok('rm', 'c3')
  })
}

async function restartVerbs(verb: Try, docker: Dockerd, daemon: Daemon, image: string): Promise<void> {
  await verb('run --restart', async () => {
    await docker.ok('run', '-d', '--name', 'c4', '--restart', 'always', ...alone, image, 'sleep', '0.2')
    await eventually(async () =>
      assert.match(await docker.ok('inspect', '--format', '{{.RestartCount}}', 'c4'), /^[2-9]/),
    )
    await docker.ok('rm', '--force', 'c4')
  })
  await verb('gantryd killed and started: containers and their exits', async () => {
    await docker.ok('run', '-d', '--name', 'c5', ...alone, image, 'sleep', '1000')
    await daemon.kill()
    await daemon.start()
    await eventually(async () => assert.equal(await docker.ok('exec', 'c5', 'echo', 'on'), 'on'))
    await docker.ok('stop', '--time', '0', 'c5')
    assert.equal(await docker.ok('inspect', '--format', '{{.State.ExitCode}}', 'c5'), '137')
    await docker.ok('rm', 'c5')
  })
}
