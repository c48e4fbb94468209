/** What Docker's clients count on when the gateway's process is killed, and ways in besides the socket. */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { WebSocket } from 'ws'
import { runCommand } from '../daemon/run-command.ts'
import { Scoreboard } from '../interop/scoreboard.ts'
import { until } from './conditions.ts'
import { Docker, dockerCommand } from './docker.ts'
import { gatewayPid } from './gateway-pid.ts'

const skip = dockerCommand === undefined ? 'no docker command (apt-get install docker.io)' : false
const image = 'busybox:test'

test('docker beyond one process and one socket', { skip }, async t => {
  const files = await mkdtemp(join(tmpdir(), 'tls-'))
  t.after(() => rm(files, { recursive: true }))
  makeCertificates(files)
  const port = await freePort()
  const config = [
    ...['[plugins.gateways.docker]', `tcp_address = "127.0.0.1:${port}"`, `tls_ca = "${join(files, 'ca.pem')}"`],
    ...[`tls_certificate = "${join(files, 'server.pem')}"`, `tls_key = "${join(files, 'server-key.pem')}"`],
  ].join('\n')
  await using docker = await Docker.start({ config })
  using board = new Scoreboard()
  await docker.importBusybox(image)
  const verb = (name: string, body: () => Promise<void>) => board.verb(t as TestContext, 'docker: survival', name, body)

  await verb('execs are known to the next gateway, with their exit codes', async () => {
    await docker.ok('run', '-d', '--name', 'box', image, 'sleep', '1000')
    const make = async (command: string) => {
      const { body } = await docker.request('POST', '/containers/box/exec', { Cmd: ['sh', '-c', command] })
      const { Id } = JSON.parse(body)
      return Id as string
    }
    const [created, running] = [await make('exit 4'), await make('sleep 2; exit 6')]
    assert.equal((await docker.request('POST', `/exec/${running}/start`, { Detach: true })).status, 200)
    await killGateway(docker)
    assert.equal((await docker.request('POST', `/exec/${created}/start`, { Detach: true })).status, 200)
    for (const [id, code] of [
      [created, 4],
      [running, 6],
    ] as const)
      await until(async () => JSON.parse((await docker.request('GET', `/exec/${id}/json`)).body).ExitCode === code)
    await docker.ok('rm', '-f', 'box')
  })

  await verb('volumes without a name go with --rm, even when nobody saw the end', async () => {
    const id = await docker.ok('run', '-d', '--rm', '--name', 'brief', '-v', '/data', image, 'sleep', '1000')
    const [volume = ''] = (await docker.ok('volume', 'ls', '-q')).split('\n')
    assert.match(volume, /^[0-9a-f]{64}$/)
    const before = await gatewayPid(docker)
    process.kill(before, 'SIGSTOP')
    await docker.daemon.run('-n', 'moby', 'tasks', 'kill', '--signal', 'SIGKILL', id)
    await until(async () => (await docker.daemon.run('-n', 'moby', 'containers', 'ls', '-q')).stdout.trim() === '')
    process.kill(before, 'SIGKILL')
    await until(async () => (await gatewayPid(docker)) !== before && (await gatewayPid(docker)) !== 0)
    await docker.ready()
    assert.equal(await docker.ok('volume', 'ls', '-q'), '')
  })

  await verb('health checks go on after a kill; probes by the engine need no program in the image', async () => {
    const health = () => docker.ok('inspect', '-f', '{{.State.Health.Status}}', 'web')
    const check = ['--health-cmd', 'http://:8080/index.html', '--health-interval', '300ms', '--health-retries', '2']
    const serve = 'mkdir -p /www; echo fine > /www/index.html; httpd -p 8080 -h /www; sleep 1000'
    await docker.ok('run', '-d', '--name', 'web', ...check, image, 'sh', '-c', serve)
    await until(async () => (await health()) === 'healthy')
    assert.match(await docker.ok('inspect', '-f', '{{json .State.Health.Log}}', 'web'), /200 OK.*fine/)
    await killGateway(docker)
    await docker.ok('exec', 'web', 'rm', '/www/index.html')
    await until(async () => (await health()) === 'unhealthy')
    await docker.ok('rm', '-f', 'web')
    await docker.ok('run', '-d', '--name', 'deaf', ...check.with(1, 'tcp://:9'), image, 'sleep', '1000')
    await until(async () => (await docker.ok('inspect', '-f', '{{.State.Health.Status}}', 'deaf')) === 'unhealthy')
    await docker.ok('rm', '-f', 'deaf')
  })

  await verb('attach by WebSocket: messages are the streams', async () => {
    await docker.ok('create', '-i', '--name', 'socket', image, 'cat')
    const query = 'stream=1&stdin=1&stdout=1'
    const client = new WebSocket(`ws+unix://${docker.socket}:/v1.51/containers/socket/attach/ws?${query}`)
    let received = ''
    client.on('message', (data: Buffer) => {
      received += data.toString()
    })
    await new Promise((resolve, reject) => client.once('open', resolve).once('error', reject))
    await docker.ok('start', 'socket')
    client.send('typed\n')
    await until(async () => received === 'typed\n')
    client.close()
    await docker.ok('rm', '-f', 'socket')
    const refused = await docker.request('GET', '/containers/nosuch/attach/ws')
    assert.equal(refused.status, 404)
  })

  await verb('TCP takes clients with a certificate, and nobody else', async () => {
    const host = ['--host', `tcp://127.0.0.1:${port}`, '--tlsverify', '--tlscacert', join(files, 'ca.pem')]
    const own = ['--tlscert', join(files, 'client.pem'), '--tlskey', join(files, 'client-key.pem')]
    const env = { DOCKER_CONFIG: join(docker.folder, 'client') }
    const good = await runCommand([dockerCommand ?? '', ...host, ...own, 'run', '--rm', image, 'echo', 'hi'], { env })
    assert.deepEqual({ code: good.code, stdout: good.stdout }, { code: 0, stdout: 'hi\n' })
    const url = `https://127.0.0.1:${port}/_ping`
    const bare = await runCommand(['curl', '-s', '--max-time', '10', '--cacert', join(files, 'ca.pem'), url])
    assert.notEqual(bare.code, 0)
    assert.equal(bare.stdout, '')
  })

  await verb('df in the form of 1.52', async () => {
    await docker.ok('create', '--name', 'idle', '-v', 'kept:/data', image, 'true')
    const { body } = await docker.request('GET', '/v1.52/system/df')
    const { ImageUsage, ContainerUsage, VolumeUsage } = JSON.parse(body)
    assert.equal(ImageUsage.TotalCount, 1)
    assert.equal(ImageUsage.ActiveCount, 1)
    assert.equal(ContainerUsage.TotalCount, 1)
    assert.equal(ContainerUsage.ActiveCount, undefined)
    assert.equal(VolumeUsage.TotalCount, 1)
    const verbose = JSON.parse((await docker.request('GET', '/v1.52/system/df?verbose=1&type=volume')).body)
    assert.deepEqual(Object.keys(verbose), ['VolumeUsage'])
    assert.equal(verbose.VolumeUsage.Items[0].Name, 'kept')
    await docker.ok('rm', '-v', 'idle')
    await docker.ok('volume', 'rm', 'kept')
  })
})

async function killGateway(docker: Docker): Promise<void> {
  const before = await gatewayPid(docker)
  process.kill(before, 'SIGKILL')
  await until(async () => (await gatewayPid(docker)) !== before && (await gatewayPid(docker)) !== 0)
  await docker.ready()
}

/** Nobody else takes it in the moment until the gateway does, or the test says so. */
async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  await new Promise(resolve => server.close(resolve))
  return typeof address === 'object' && address !== null ? address.port : 0
}

/** An authority, and certificates of a server and of a client that it signed. */
function makeCertificates(folder: string): void {
  const at = (name: string) => join(folder, name)
  const openssl = (...args: string[]) => execFileSync('openssl', args, { stdio: 'ignore' })
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2']
  openssl('req', '-x509', ...key, '-keyout', at('ca-key.pem'), '-out', at('ca.pem'), '-subj', '/CN=test authority')
  for (const name of ['server', 'client'])
    openssl(
      ...['req', '-x509', ...key, '-keyout', at(`${name}-key.pem`), '-out', at(`${name}.pem`), '-subj', `/CN=${name}`],
      ...['-CA', at('ca.pem'), '-CAkey', at('ca-key.pem'), '-addext', 'subjectAltName=IP:127.0.0.1'],
      ...['-addext', 'basicConstraints=critical,CA:FALSE'],
    )
}
