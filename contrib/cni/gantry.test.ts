/** Our CNI binary under a CNI runtime: the one of the cni plugin, which runs Debian's binaries in its own tests. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { createLogger } from '#api/log/log.ts'
import { inPrivateHost } from '#sdk/network-private.ts'
import { parseConflist } from '../../plugins/networks/cni/conflist.ts'
import { CniRuntime, type CniTarget } from '../../plugins/networks/cni/runtime.ts'
import { kernelState, type PluginProcess, until, World } from '../../test/integration/networks-world.ts'

const directory = import.meta.dirname

if (inPrivateHost(fileURLToPath(import.meta.url))) {
  let world: World
  let bridge: PluginProcess
  let address: string
  const runtime = new CniRuntime({ binDirectories: [directory], log: createLogger({ name: 'cni', level: 'silent' }) })

  before(async () => {
    world = await World.create()
    bridge = await world.plugin('c9c9c9c9')
    address = bridge.address
  })
  after(() => world[Symbol.asyncDispose]())

  const list = (name: string, cniVersion: string, rest: object = {}) => {
    const capabilities = { portMappings: true, mac: true, ips: true, aliases: true }
    return parseConflist(
      JSON.stringify({ cniVersion, name, plugins: [{ type: 'gantry', address, capabilities, ...rest }] }),
      'test',
    )
  }
  const target = async (containerId: string, capabilityArgs: object = {}): Promise<CniTarget> => {
    const netns = await world.namespace(containerId)
    return { containerId, interfaceName: 'eth0', netns, capabilityArgs: { ...capabilityArgs } }
  }

  for (const version of ['0.4.0', '1.0.0', '1.1.0'])
    test(`the life of an attachment, spec ${version}`, async () => {
      const blue = await runtime.negotiate(list(`net-${version}`, version))
      assert.equal(blue.cniVersion, version)
      const args = { portMappings: [{ hostPort: 8080, containerPort: 80, protocol: 'tcp' }], mac: '02:42:00:00:00:99' }
      const [one, two] = [await target(`one-${version}`, args), await target(`two-${version}`)]
      const result = (await runtime.add(blue, one)) as {
        ips: { address: string; version?: string }[]
        cniVersion: string
      }
      assert.equal(result.cniVersion, version)
      assert.equal(result.ips[0]?.version, version === '0.4.0' ? '4' : undefined)
      assert.match(world.in(one.netns, 'ip', '-o', 'link', 'show', 'eth0'), /02:42:00:00:00:99/)
      await runtime.add(blue, two)
      world.in(two.netns, 'ping', '-c1', '-W2', result.ips[0]?.address.split('/')[0] ?? '')
      await world.serve(one.netns, 80)
      assert.notEqual(world.ask(undefined, 'tcp', '127.0.0.1', 8080), 'ECONNREFUSED')
      await runtime.check(blue, one, result)
      await runtime.status(blue)
      world.in(one.netns, 'ip', 'link', 'del', 'eth0')
      await assert.rejects(runtime.check(blue, one, result), /CNI gantry CHECK: .*is missing/)
      await runtime.gc(blue, [two])
      for (const gone of [one, one, two]) await runtime.del(blue, { ...gone, netns: '' }, result)
      assert.equal(world.ask(undefined, 'tcp', '127.0.0.1', 8080), 'ECONNREFUSED')
    })

  test('refusals have CNI’s codes, and leave nothing', async () => {
    const clean = kernelState()
    const call = (env: Record<string, string>, input: string) => {
      const { stdout, status } = spawnSync(join(directory, 'gantry'), {
        env: { PATH: process.env.PATH ?? '', ...env },
        input,
        encoding: 'utf8',
      })
      return { status, ...(JSON.parse(stdout) as { code: number; msg: string }) }
    }
    const conf = JSON.stringify({ cniVersion: '1.1.0', name: 'x', type: 'gantry', address })
    assert.match(call({ CNI_COMMAND: 'VERSION' }, '{}').status === 0 ? 'ok' : '', /ok/)
    assert.equal(call({ CNI_COMMAND: 'ADD' }, conf).code, 7)
    assert.equal(call({ CNI_COMMAND: 'NOTHING' }, conf).code, 7)
    const gone = { CNI_COMMAND: 'ADD', CNI_CONTAINERID: 'c', CNI_IFNAME: 'eth0', CNI_NETNS: '/nowhere' }
    assert.equal(call(gone, conf).code, 3)
    const nobody = conf.replace(address, '/nowhere.sock')
    assert.deepEqual([call({ CNI_COMMAND: 'STATUS' }, nobody).code, call({ CNI_COMMAND: 'STATUS' }, '{').code], [50, 7])
    for (const { id } of await bridge.plugin.listNetworks()) await bridge.plugin.removeNetwork(id)
    await until(() => kernelState().split('\n')[0] === 'lo').catch(() => assert.equal(kernelState(), clean))
  })
}
