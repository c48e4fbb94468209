/** `docker ps`: what was done before it is asked for is in it, whoever did it, and whichever process was restarted. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { patience } from '../daemon/patience.ts'
import { Docker, dockerCommand } from './docker.ts'
import { gatewayPid } from './gateway-pid.ts'

const skip = dockerCommand === undefined ? 'no docker command (apt-get install docker.io)' : false

interface Item {
  Id: string
  Names: string[]
  State: string
  Status: string
  SizeRootFs?: number
  Labels: Record<string, string>
  NetworkSettings: { Networks: Record<string, { NetworkID: string; GwPriority?: number; DNSNames?: unknown }> }
}

test('a list of containers', { skip }, async t => {
  await using docker = await Docker.start()
  const image = await docker.importBusybox()
  const items = async (query = '?all=1', version = '1.43'): Promise<Item[]> =>
    JSON.parse((await docker.request('GET', `/v${version}/containers/json${query}`)).body)
  const states = async () => (await items()).map(({ Names: [name], State }) => `${name} ${State}`)
  const run = (name: string, ...more: string[]) =>
    docker.ok('run', '-d', '--name', name, '--network', 'none', ...more, image, 'sleep', '1000')

  await t.test('follows each step of a life at once', async () => {
    assert.deepEqual(await states(), [])
    await docker.ok('create', '--name', 'one', '--network', 'none', '--label', 'State=x', image, 'sleep', '1000')
    assert.deepEqual(await states(), ['/one created'])
    await docker.ok('start', 'one')
    assert.deepEqual(await states(), ['/one running'])
    await docker.ok('pause', 'one')
    assert.deepEqual(await states(), ['/one paused'])
    await docker.ok('unpause', 'one')
    await docker.ok('rename', 'one', 'uno')
    assert.deepEqual(await states(), ['/uno running'])
    await run('two')
    assert.deepEqual(await states(), ['/two running', '/uno running'])
    await docker.ok('kill', 'two')
    assert.deepEqual(
      (await items('')).map(({ Names }) => Names[0]),
      ['/uno'],
    )
    assert.match((await items('?all=1'))[0]?.Status ?? '', /^Exited \(137\) /)
    await docker.ok('rm', 'two')
    assert.deepEqual(await states(), ['/uno running'])
  })

  await t.test('members are those of the version that is asked for, in turn', async () => {
    const [old] = await items('', '1.43')
    const [newer] = await items('', '1.44')
    const [newest] = await items('', '1.48')
    const has = (item: Item | undefined) => {
      const { GwPriority, DNSNames } = item?.NetworkSettings.Networks.none ?? assert.fail('no network')
      return [GwPriority !== undefined, DNSNames !== undefined]
    }
    assert.deepEqual([old, newer, newest, (await items('', '1.43'))[0]].map(has), [
      [false, false],
      [false, true],
      [true, true],
      [false, false],
    ])
    assert.equal(old?.Labels.State, 'x')
    assert.ok(((await items('?size=1'))[0]?.SizeRootFs ?? 0) > 0)
  })

  await t.test('a network that was made anew has its new id', async () => {
    const networkOf = async () => (await items('?all=1&filters={"name":["tied"]}'))[0]?.NetworkSettings.Networks.n1
    const first = await docker.ok('network', 'create', 'n1')
    await docker.ok('run', '--name', 'tied', '--network', 'n1', image, 'true')
    assert.equal((await networkOf())?.NetworkID, first)
    await docker.ok('network', 'rm', 'n1')
    assert.equal((await networkOf())?.NetworkID, '')
    const second = await docker.ok('network', 'create', 'n1')
    assert.equal((await networkOf())?.NetworkID, second)
    await docker.ok('rm', 'tied')
    await docker.ok('network', 'rm', 'n1')
  })

  await t.test('asked for by many while containers come and go, it lacks nothing that was there', async () => {
    const names = Array.from({ length: 12 }, (_, at) => `n${at}`)
    const made: string[] = []
    let isDone = false
    const readers = Array.from({ length: 4 }, async () => {
      while (!isDone) {
        const before = [...made]
        const seen = new Set((await items()).map(({ Names }) => Names[0]))
        assert.deepEqual(
          before.filter(name => !seen.has(`/${name}`)),
          [],
        )
        assert.ok(seen.has('/uno'))
      }
    })
    try {
      for (const name of names) {
        await docker.ok('create', '--name', name, image, 'true')
        made.push(name)
      }
    } finally {
      isDone = true
      await Promise.all(readers)
    }
    await docker.ok('rm', ...names)
    assert.deepEqual(await states(), ['/uno running'])
  })

  await t.test('gateway and core may be restarted', async () => {
    await docker.daemon.stop()
    await docker.daemon.start()
    await docker.ready()
    assert.deepEqual(await states(), ['/uno running'])
    await run('late')
    process.kill(await gatewayPid(docker), 'SIGKILL')
    await sleep(50)
    await docker.ready()
    assert.deepEqual(await states(), ['/late running', '/uno running'])
    await docker.daemon.kill()
    await docker.daemon.start()
    await docker.ready()
    await docker.ok('rm', '--force', 'late')
    assert.deepEqual(await states(), ['/uno running'])
  })

  await t.test('one that is between two runs is restarting', async () => {
    await run('again', '--restart', 'always', '--entrypoint', 'false')
    for (const deadline = Date.now() + 20_000 * patience; ; await sleep(20)) {
      const [item] = await items('?filters={"status":["restarting"]}')
      if (item && /^Restarting \(1\)/.test(item.Status)) break
      assert.ok(Date.now() < deadline, `not seen: ${JSON.stringify(await items())}`)
    }
  })
})
