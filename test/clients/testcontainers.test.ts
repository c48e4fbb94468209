/**
 * testcontainers (npm): containers that a test suite waits for. Its reaper (ryuk) is an image of its own on Docker Hub,
 * which tests here cannot reach: it is switched off, as the library documents.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { patience } from '../daemon/patience.ts'
import { Scoreboard } from '../interop/scoreboard.ts'
import { registryWorld } from './registry-world.ts'

const part = 'testcontainers'

test('testcontainers', async t => {
  await using world = await registryWorld()
  using board = new Scoreboard()
  const verb = (name: string, body: () => Promise<void>) => board.verb(t, part, name, body)
  Object.assign(process.env, {
    DOCKER_HOST: `unix://${world.docker.socket}`,
    DOCKER_CONFIG: `${world.docker.folder}/client`,
    TESTCONTAINERS_RYUK_DISABLED: 'true',
    TESTCONTAINERS_HOST_OVERRIDE: '127.0.0.1',
  })
  const { GenericContainer, Network, Wait } = await import('testcontainers')
  const httpd = () =>
    new GenericContainer('busybox:1.36')
      .withCommand(['sh', '-c', 'echo served > /www/index.html; echo ready; exec httpd -f -p 80 -h /www'])
      .withExposedPorts(80)
      .withStartupTimeout(60_000 * patience)

  await verb('a container whose image is pulled, waited for by its port', async () => {
    await using container = await httpd().start()
    const answer = await fetch(`http://${container.getHost()}:${container.getMappedPort(80)}/`)
    assert.equal(await answer.text(), 'served\n')
  })
  await verb('waited for by its log', async () => {
    await using container = await httpd().withWaitStrategy(Wait.forLogMessage(/ready/)).start()
    const outcome = await container.exec(['cat', '/www/index.html'])
    assert.deepEqual([outcome.exitCode, outcome.output], [0, 'served\n'])
    assert.equal((await container.exec(['sh', '-c', 'exit 9'])).exitCode, 9)
  })
  await verb('waited for by HTTP', async () => {
    await using container = await httpd().withWaitStrategy(Wait.forHttp('/', 80)).start()
    assert.ok(container.getId().length === 64)
  })
  await verb('environment, labels, files and a user network', async () => {
    await using network = await new Network().start()
    await using server = await httpd().withNetwork(network).withNetworkAliases('server').start()
    await using client = await new GenericContainer('busybox:1.36')
      .withNetwork(network)
      .withEnvironment({ FROM: 'test' })
      .withLabels({ role: 'client' })
      .withCopyContentToContainer([{ content: 'copied', target: '/etc/copied' }])
      .withCommand(['sleep', '600'])
      .start()
    assert.ok(server.getIpAddress(network.getName()).includes('.'))
    assert.equal((await client.exec(['wget', '-q', '-O', '-', 'http://server/'])).output, 'served\n')
    assert.match((await client.exec(['env'])).output, /FROM=test/)
    assert.equal((await client.exec(['cat', '/etc/copied'])).output, 'copied')
  })
  await verb('restart, logs, stop', async () => {
    await using container = await httpd().start()
    await container.restart()
    const logs = await container.logs()
    const [line] = (await logs.take(1).toArray()) as Buffer[]
    assert.match(String(line), /ready/)
    await container.stop()
  })
  await verb('nothing is left behind', async () => {
    assert.equal(await world.docker.ok('ps', '-aq'), '')
    assert.equal(await world.docker.ok('network', 'ls', '-q', '--filter', 'type=custom'), '')
  })
})
