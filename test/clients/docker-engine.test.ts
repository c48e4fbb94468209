/** The docker command on networks, volumes, events and the engine itself. */
import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { endpointGroups } from '../../plugins/gateways/docker/compat/endpoints.ts'
import { patience } from '../daemon/patience.ts'
import { Scoreboard } from '../interop/scoreboard.ts'
import { Docker, dockerCommand } from './docker.ts'

const skip = dockerCommand === undefined ? 'no docker command (apt-get install docker.io)' : false

type Verb = (part: string, name: string, body: () => Promise<void>) => Promise<void>

test('docker on networks, volumes, events and the engine', { skip }, async t => {
  await using docker = await Docker.start()
  using board = new Scoreboard()
  const verb: Verb = (part, name, body) => board.verb(t as TestContext, `docker: ${part}`, name, body)
  await docker.importBusybox()
  await networks(docker, verb)
  await volumes(docker, verb)
  await events(docker, verb)
  await engine(docker, verb)
  await verb('engine', 'every endpoint stands as docs/docker-compat.md says', () => standings(docker))
})

/** Asked for things that are not there: an endpoint that is served knows better than "page not found". */
async function standings(docker: Docker): Promise<void> {
  const wrong: string[] = []
  for (const { name, standing, ask = '' } of endpointGroups.flatMap(group => group.endpoints)) {
    const [method = '', path = ''] = name.split(' ')
    const { status, body } = await docker.request(method, path.replace(/\{\w+\}/g, 'nosuch') + ask)
    const isServed = status !== 501 && status !== 0 && !body.includes('page not found')
    if (isServed !== (standing !== 'not implemented'))
      wrong.push(`${name}: ${standing}, but ${status} ${body.slice(0, 200)}`)
  }
  assert.deepEqual(wrong, [])
}

async function failing(docker: Docker, ...args: string[]): Promise<string> {
  const { code, stderr } = await docker.run(args)
  assert.notEqual(code, 0, `docker ${args.join(' ')} succeeded`)
  return stderr
}

async function networks(docker: Docker, verb: Verb): Promise<void> {
  const ok = docker.ok.bind(docker)
  const subnet = '10.119.61.0/24'
  await verb('networks', 'ls shows the three', async () => {
    const lines = (await ok('network', 'ls', '--format', '{{.Name}} {{.Driver}} {{.Scope}}')).split('\n')
    assert.deepEqual(lines.sort(), ['bridge bridge local', 'host host local', 'none null local'])
  })
  await verb('networks', 'create and inspect', async () => {
    await ok('network', 'create', '--subnet', subnet, '--label', 'a=b', '--attachable', 'n1')
    const [network] = JSON.parse(await ok('network', 'inspect', 'n1'))
    assert.deepEqual(network.IPAM.Config, [{ Subnet: subnet, Gateway: '10.119.61.1' }])
    assert.deepEqual(network.Labels, { a: 'b' })
    assert.deepEqual(network.Options, {})
    assert.equal(network.Attachable, true)
    assert.equal(network.EnableIPv6, false)
    assert.equal(await ok('network', 'inspect', '-f', '{{.Name}}', network.Id.slice(0, 12)), 'n1')
    assert.match(await failing(docker, 'network', 'create', 'n1'), /network with name n1 already exists/)
    assert.match(
      await failing(docker, 'network', 'create', 'bridge'),
      /operation is not permitted on predefined bridge/,
    )
    assert.match(await failing(docker, 'network', 'inspect', 'nosuch'), /network nosuch not found|No such network/)
  })
  await verb('networks', 'ls with filters', async () => {
    const names = (filter: string) => ok('network', 'ls', '--filter', filter, '--format', '{{.Name}}')
    assert.equal(await names('label=a=b'), 'n1')
    assert.equal(await names('type=custom'), 'n1')
    assert.equal(await names('dangling=true'), 'n1')
    assert.equal(await names('driver=null'), 'none')
    assert.match(await failing(docker, 'network', 'ls', '--filter', 'colour=red'), /invalid filter 'colour'/i)
  })
  await verb('networks', 'connect and disconnect a running container', async () => {
    await ok('run', '-d', '--name', 'member', 'busybox:test', 'sleep', '600')
    await ok('network', 'connect', '--ip', '10.119.61.9', '--alias', 'friend', 'n1', 'member')
    const [network] = JSON.parse(await ok('network', 'inspect', 'n1'))
    const [[id, endpoint]] = Object.entries(network.Containers) as [[string, Record<string, string>]]
    assert.equal(endpoint.Name, 'member')
    assert.equal(endpoint.IPv4Address, '10.119.61.9/24')
    const [container] = JSON.parse(await ok('inspect', 'member'))
    assert.equal(container.Id, id)
    assert.equal(container.NetworkSettings.Networks.n1.IPAddress, '10.119.61.9')
    assert.equal(container.NetworkSettings.Networks.n1.EndpointID, endpoint.EndpointID)
    assert.ok(container.NetworkSettings.Networks.n1.Aliases.includes('friend'))
    const other = await ok('run', '--rm', '--network', 'n1', 'busybox:test', 'ping', '-c1', 'friend')
    assert.match(other, /10\.119\.61\.9/)
    assert.match(await failing(docker, 'network', 'rm', 'n1'), /has active endpoints.*member/)
    assert.match(await failing(docker, 'network', 'disconnect', 'n1', 'nosuch'), /No such container/)
    await ok('network', 'disconnect', 'n1', 'member')
    assert.deepEqual(JSON.parse(await ok('network', 'inspect', 'n1'))[0].Containers, {})
    assert.match(await failing(docker, 'network', 'disconnect', 'n1', 'member'), /is not connected to/)
    await ok('rm', '-f', 'member')
  })
  await verb('networks', 'rm and prune', async () => {
    await ok('network', 'rm', 'n1')
    assert.match(await failing(docker, 'network', 'rm', 'n1'), /network n1 not found|No such network/)
    assert.match(
      await failing(docker, 'network', 'rm', 'bridge'),
      /bridge is a pre-defined network and cannot be removed/,
    )
    await ok('network', 'create', 'n2')
    assert.match(await ok('network', 'prune', '--force'), /n2/)
  })
}

async function volumes(docker: Docker, verb: Verb): Promise<void> {
  const ok = docker.ok.bind(docker)
  const data = async (name: string) => ok('volume', 'inspect', '-f', '{{.Mountpoint}}', name)
  await verb('volumes', 'create, inspect, ls', async () => {
    assert.equal(await ok('volume', 'create', '--label', 'a=b', 'v1'), 'v1')
    const [volume] = JSON.parse(await ok('volume', 'inspect', 'v1'))
    assert.match(volume.Mountpoint, /\/volumes\/v1\/_data$/)
    assert.deepEqual([volume.Driver, volume.Scope, volume.Labels, volume.Options], ['local', 'local', { a: 'b' }, null])
    assert.equal(await ok('volume', 'ls', '-q', '--filter', 'label=a'), 'v1')
    assert.equal(await ok('volume', 'ls', '-q', '--filter', 'dangling=true'), 'v1')
    assert.equal(await ok('volume', 'ls', '-q', '--filter', 'name=other'), '')
    assert.match(await failing(docker, 'volume', 'inspect', 'nosuch'), /no such volume/i)
    assert.match(
      await failing(docker, 'volume', 'create', 'a/b'),
      /includes invalid characters for a local volume name/,
    )
    assert.match(await failing(docker, 'volume', 'create', '-d', 'nosuch', 'v2'), /plugin "nosuch" not found/)
  })
  await verb('volumes', 'keep what containers write', async () => {
    await ok('run', '--rm', '-v', 'v1:/data', 'busybox:test', 'sh', '-c', 'echo kept > /data/file')
    assert.equal(await ok('run', '--rm', '-v', 'v1:/data:ro', 'busybox:test', 'cat', '/data/file'), 'kept')
    assert.equal((await readFile(join(await data('v1'), 'file'), 'utf8')).trim(), 'kept')
  })
  await verb('volumes', 'rm is refused while in use', async () => {
    await ok('create', '--name', 'user', '-v', 'v1:/data', 'busybox:test')
    assert.match(await failing(docker, 'volume', 'rm', 'v1'), /remove v1: volume is in use - \[/)
    assert.equal(await ok('volume', 'ls', '-q', '--filter', 'dangling=true'), '')
    await ok('rm', 'user')
    const folder = await data('v1')
    await ok('volume', 'rm', 'v1')
    assert.ok(!existsSync(folder), 'its data is still there')
    await ok('volume', 'rm', '--force', 'v1')
  })
  await verb('volumes', 'a new one begins with what the image has', async () => {
    await ok('run', '--rm', '-v', 'filled:/etc', 'busybox:test', 'true')
    assert.ok((await readdir(await data('filled'))).includes('passwd'))
    await ok('volume', 'rm', 'filled')
  })
  await verb('volumes', 'anonymous ones go with their container, or by prune', async () => {
    await ok('run', '--rm', '-v', '/data', 'busybox:test', 'true')
    // It goes behind the container, which is all that `docker run` waits for.
    for (const deadline = Date.now() + 10_000 * patience; (await ok('volume', 'ls', '-q')) !== ''; await sleep(50))
      assert.ok(Date.now() < deadline, 'the anonymous volume stays')
    await ok('run', '--name', 'left', '-v', '/data', 'busybox:test', 'true')
    await ok('rm', 'left')
    const left = await ok('volume', 'ls', '-q')
    assert.match(left, /^[0-9a-f]{64}$/)
    await ok('volume', 'create', 'named')
    assert.match(await ok('volume', 'prune', '--force'), new RegExp(left))
    await ok('volume', 'rm', '-f', 'named')
  })
  await verb('volumes', 'tmpfs and bind by the options of the local driver', async () => {
    const source = join(docker.folder, 'bound')
    await mkdir(source)
    await writeFile(join(source, 'file'), 'from the host')
    await ok('volume', 'create', '-o', 'type=none', '-o', 'o=bind', '-o', `device=${source}`, 'bound')
    await ok('volume', 'create', '-o', 'type=tmpfs', '-o', 'device=tmpfs', '-o', 'o=size=1m', 'memory')
    assert.equal(await ok('run', '--rm', '-v', 'bound:/data', 'busybox:test', 'cat', '/data/file'), 'from the host')
    const mounts = await ok('run', '--rm', '-v', 'memory:/data', 'busybox:test', 'mount')
    assert.match(mounts, /tmpfs on \/data type tmpfs .*size=1024k/)
    assert.match(await failing(docker, 'volume', 'create', '-o', 'colour=red', 'x1'), /invalid option: "colour"/)
    await ok('volume', 'rm', 'bound', 'memory')
    assert.ok(existsSync(join(source, 'file')), 'the bound directory was emptied')
    assert.ok(
      !(await readFile('/proc/self/mountinfo', 'utf8')).includes(join(docker.folder, 'lib/gateways')),
      'left mounted',
    )
  })
  await verb('volumes', 'outlive a kill of the gateway', async () => {
    await ok('volume', 'create', '--label', 'k=v', 'kept')
    process.kill(
      Number(await readFile(join(docker.daemon.state, 'gateways/docker.pid'), 'utf8').then(firstNumber)),
      'SIGKILL',
    )
    await docker.ready()
    assert.deepEqual(JSON.parse(await ok('volume', 'inspect', 'kept'))[0].Labels, { k: 'v' })
    await ok('volume', 'rm', 'kept')
  })
}

function firstNumber(text: string): string {
  return /\d+/.exec(text)?.[0] ?? ''
}

async function events(docker: Docker, verb: Verb): Promise<void> {
  const ok = docker.ok.bind(docker)
  await verb('events', 'tell what happened since, also before a restart', async () => {
    await ok('run', '--name', 'told', '-v', 'seen:/data', 'busybox:test', 'true')
    await ok('rm', 'told')
    await ok('volume', 'rm', 'seen')
    const format = ['--format', '{{.Type}} {{.Action}}']
    const lines = (await ok('events', '--since', '1h', '--until', `${Math.ceil(Date.now() / 1000)}`, ...format)).split(
      '\n',
    )
    for (const wanted of ['image import', 'network create', 'network connect', 'volume create', 'container create'])
      assert.ok(lines.includes(wanted), `${wanted} is missing`)
    const story = ['container create', 'container start', 'container die', 'container destroy', 'volume destroy']
    const told = lines.slice(lines.lastIndexOf('container create')).filter(line => story.includes(line))
    assert.deepEqual(told, story)
  })
  await verb('events', 'with filters', async () => {
    const until = `${Math.ceil(Date.now() / 1000)}`
    const of = (...filters: string[]) =>
      ok(
        'events',
        '--since',
        '1h',
        '--until',
        until,
        ...filters.flatMap(one => ['--filter', one]),
        '--format',
        '{{.Action}}',
      )
    assert.match(await of('type=volume', 'volume=seen', 'event=destroy'), /^destroy$/)
    assert.equal(await of('type=container', 'container=nosuch'), '')
    assert.match(await of('container=told', 'event=die'), /^die$/)
  })
}

async function engine(docker: Docker, verb: Verb): Promise<void> {
  const ok = docker.ok.bind(docker)
  await verb('engine', 'version, info, context', async () => {
    assert.match(await ok('version', '--format', '{{.Server.APIVersion}} {{.Server.MinAPIVersion}}'), /^1\.51 1\.24$/)
    const info = JSON.parse(await ok('info', '--format', '{{json .}}'))
    assert.equal(info.Images, 1)
    assert.equal(info.Swarm.LocalNodeState, 'inactive')
    assert.ok(info.NCPU > 0 && info.MemTotal > 0)
    await ok('context', 'ls')
  })
  await verb('engine', 'system df', async () => {
    const lines = (await ok('system', 'df', '--format', '{{.Type}} {{.TotalCount}}')).split('\n')
    assert.ok(lines.includes('Images 1') && lines.includes('Local Volumes 0'), lines.join())
    await ok('system', 'df', '-v')
  })
  await verb('engine', 'no member of a swarm', async () => {
    for (const noun of ['node', 'service', 'secret', 'config'])
      assert.match(await failing(docker, noun, 'ls'), /This node is not a swarm manager/)
    assert.equal((await docker.request('GET', '/v1.41/swarm')).status, 503)
    assert.match(await failing(docker, 'swarm', 'leave'), /This node is not part of a swarm/)
  })
  await verb('engine', 'what is not served says so', async () => {
    assert.equal(await ok('plugin', 'ls', '-q'), '')
    for (const path of ['/session', '/grpc']) assert.equal((await docker.request('POST', path)).status, 501)
    assert.match((await docker.request('GET', '/nosuch')).body, /page not found/)
  })
  await verb('engine', 'metrics', async () => {
    const { status, body } = await docker.request('GET', '/metrics')
    assert.equal(status, 200)
    assert.match(body, /engine_daemon_container_states_containers\{state="running"\} 0/)
  })
  await verb('engine', 'system prune', async () => {
    await ok('run', '--name', 'ended', 'busybox:test', 'true')
    await ok('network', 'create', 'unused')
    const text = await ok('system', 'prune', '--all', '--force', '--volumes')
    assert.match(text, /unused/)
    assert.equal(await ok('images', '-q'), '')
  })
}
