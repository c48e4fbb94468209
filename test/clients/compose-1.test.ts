/** docker-compose 1.29 (Debian's, in Python) on the gateway: a project of two services from its first day to its last. */
import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { patience } from '../daemon/patience.ts'
import { type CommandOutcome, runCommand } from '../daemon/run-command.ts'
import { Scoreboard } from '../interop/scoreboard.ts'
import { type RegistryWorld, registryWorld } from './registry-world.ts'

const command = '/usr/bin/docker-compose'
const skip = existsSync(command) ? false : 'no docker-compose (apt-get install docker-compose)'
const part = 'docker-compose 1.29'

const project = `
version: "2.4"
services:
  web:
    image: busybox
    command: sh -c 'echo served > /www/index.html; exec httpd -f -p 80 -h /www'
    environment: { GREETING: "\${GREETING:-none}" }
    env_file: web.env
    volumes: [ "content:/www", "./secret.txt:/run/secrets/secret:ro" ]
    ports: [ "127.0.0.1::80" ]
    labels: { tier: front }
    networks: { inside: { aliases: [ www ] } }
    healthcheck: { test: [ "CMD", "wget", "-q", "-O", "/dev/null", "http://127.0.0.1/" ], interval: 500ms, timeout: 20s, retries: 60 }
  client:
    extends: { file: base.yml, service: sleeper }
    depends_on: { web: { condition: service_healthy } }
    networks: [ inside ]
    stop_grace_period: 0s
volumes: { content: {} }
networks: { inside: { driver: bridge, ipam: { config: [ { subnet: 10.119.71.0/24 } ] } } }
`
const base = 'version: "2.4"\nservices: { sleeper: { image: busybox, command: sleep 600 } }\n'

test('docker-compose 1.29', { skip }, async t => {
  await using world = await registryWorld()
  using board = new Scoreboard()
  const compose = await composeIn(world)
  const { docker } = world
  const state = (name: string) => docker.ok('inspect', '-f', '{{.State.Status}}', name)
  const verb = (name: string, body: () => Promise<void>) => board.verb(t, part, name, body)
  const ok = async (...args: string[]) => {
    const { code, stdout, stderr } = await compose(...args)
    assert.equal(code, 0, `docker-compose ${args.join(' ')}: ${stderr}\n${docker.daemon.log.slice(-1500)}`)
    return stdout
  }

  await verb('config', async () => assert.match(await ok('config', '--services'), /^web\nclient\n$|^client\nweb\n$/))
  await verb('pull', async () => void (await ok('pull')))
  await verb('up, which waits for health', async () => {
    await ok('up', '-d')
    assert.equal(await docker.ok('inspect', '-f', '{{.State.Health.Status}}', 'shop_web_1'), 'healthy')
  })
  await verb('ps', async () => {
    const text = await ok('ps')
    assert.match(text, /shop_client_1.*Up/)
    assert.match(text, /shop_web_1.*Up.*127\.0\.0\.1:\d+->80\/tcp/)
  })
  await verb('port, and what answers there', async () => {
    const address = (await ok('port', 'web', '80')).trim()
    const answer = await fetch(`http://${address}/`, { signal: AbortSignal.timeout(10_000 * patience) })
    assert.equal(await answer.text(), 'served\n')
  })
  await verb('exec, by a service name and an alias', async () => {
    const script = 'wget -q -O - http://web/; wget -q -O - http://www/; exit 7'
    const { code, stdout, stderr } = await compose('exec', '-T', 'client', 'sh', '-c', script)
    assert.deepEqual([code, stdout], [7, 'served\nserved\n'], stderr)
  })
  await verb('environment, env_file and secrets as files', async () => {
    const script = 'echo $GREETING $FROM_FILE $(cat /run/secrets/secret); echo logged > /proc/1/fd/1'
    assert.equal(await ok('exec', '-T', 'web', 'sh', '-c', script), 'hello yes hidden\n')
  })
  await verb('logs', async () => assert.match(await ok('logs', '--no-color', 'web'), /web_1\s+\| logged/))
  await verb('top', async () => assert.match(await ok('top', 'web'), /httpd -f -p 80/))
  await verb('images', async () => assert.match(await ok('images'), /shop_web_1\s+busybox\s+latest/))
  await verb('up again changes nothing', async () => {
    const before = await docker.ok('ps', '-q', '--no-trunc')
    await ok('up', '-d')
    assert.equal(await docker.ok('ps', '-q', '--no-trunc'), before)
  })
  await verb('pause and unpause', async () => {
    await ok('pause', 'client')
    assert.equal(await state('shop_client_1'), 'paused')
    await ok('unpause', 'client')
    assert.equal(await state('shop_client_1'), 'running')
  })
  await verb('restart, stop, start', async () => {
    await ok('restart', '-t', '0', 'client')
    await ok('stop', '-t', '0', 'client')
    assert.equal(await state('shop_client_1'), 'exited')
    await ok('start', 'client')
    assert.equal(await state('shop_client_1'), 'running')
  })
  await verb('scale', async () => {
    await ok('up', '-d', '--scale', 'client=3')
    assert.equal((await docker.ok('ps', '-q', '--filter', 'name=shop_client')).split('\n').length, 3)
  })
  await verb('run', async () => {
    const script = 'echo once; exit 5'
    const { code, stdout } = await compose('run', '--rm', '-T', '--no-deps', 'client', 'sh', '-c', script)
    assert.deepEqual([code, stdout], [5, 'once\n'])
  })
  await verb('a changed service is made anew, with its volume', async () => {
    const before = await docker.ok('ps', '-q', '--filter', 'name=shop_web_1')
    const { code, stderr } = await compose('up', '-d', { GREETING: 'changed' })
    assert.equal(code, 0, stderr)
    assert.notEqual(await docker.ok('ps', '-q', '--filter', 'name=shop_web_1'), before)
    assert.equal(await docker.ok('exec', 'shop_web_1', 'sh', '-c', 'echo $GREETING'), 'changed')
  })
  await verb('kill and rm', async () => {
    await ok('kill', 'client')
    await ok('rm', '-f', 'client')
    assert.equal(await docker.ok('ps', '-aq', '--filter', 'name=shop_client'), '')
  })
  await verb('down takes everything along', async () => {
    await ok('down', '-v', '-t', '0')
    assert.equal(await docker.ok('ps', '-aq'), '')
    assert.equal(await docker.ok('volume', 'ls', '-q'), '')
    assert.equal(await docker.ok('network', 'ls', '-q', '--filter', 'type=custom'), '')
  })
})

type Compose = (...args: (string | Record<string, string>)[]) => Promise<CommandOutcome>

async function composeIn({ docker }: RegistryWorld): Promise<Compose> {
  const folder = join(docker.folder, 'shop')
  await mkdir(folder)
  const files = {
    'docker-compose.yml': project,
    'base.yml': base,
    'web.env': 'FROM_FILE=yes\n',
    'secret.txt': 'hidden',
  }
  for (const [name, text] of Object.entries(files)) await writeFile(join(folder, name), text)
  const limit = ['timeout', '--foreground', '--signal=KILL', `${90 * patience}`]
  return (...args) => {
    const words = args.filter(word => typeof word === 'string')
    const [more = {}] = args.filter(word => typeof word !== 'string')
    const env = { DOCKER_HOST: `unix://${docker.socket}`, GREETING: 'hello', COMPOSE_HTTP_TIMEOUT: '120', ...more }
    const argv = [...limit, command, '--project-directory', folder, '-f', join(folder, 'docker-compose.yml'), ...words]
    return runCommand(argv, {
      env: { DOCKER_CONFIG: join(docker.folder, 'client'), ...env },
      timeoutMs: 100_000 * patience,
    })
  }
}
