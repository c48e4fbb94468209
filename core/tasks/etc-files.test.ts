import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { Result } from '#api/gen/gantry/network/v1/network.ts'
import { ContainerConfig } from '#api/gen/gantry/services/containers/v1/containers.ts'
import { placesUnder } from '#core/launch/launch.ts'
import { shareEtcFiles, writeEtcFiles } from './etc-files.ts'
import { containerStdout, execStdout } from './stdio.ts'

const dir = await mkdtemp(join(tmpdir(), 'gantry-etc-'))
after(() => rm(dir, { recursive: true, force: true }))
const placesOf = placesUnder(dir, '/run/g')

const attachment = {
  networkId: 'n',
  networkName: 'net',
  driver: 'bridge',
  containerId: 'c',
  interfaceName: 'eth0',
  netnsPath: '',
  aliases: ['db'],
  names: ['db', 'c'],
  gatewayPriority: 0,
  links: {},
  options: {},
  result: Result.fromPartial({ ips: [{ address: '10.9.8.7/24' }], dns: { nameservers: ['10.9.8.1'] } }),
}

test('hosts name the container by its addresses; wishes replace the host’s resolver lines', async () => {
  const places = placesOf('ns', 'c')
  const config = ContainerConfig.fromPartial({
    domainname: 'example',
    extraHosts: ['six:fd00::1'],
    dns: { search: ['a.b', 'c'] },
  })
  await writeEtcFiles(places, { config, hostname: 'box', sharesHost: false, attachments: [attachment] })
  const hosts = await readFile(places.hosts, 'utf8')
  assert.match(hosts, /^127\.0\.0\.1\tlocalhost\n/)
  assert.match(hosts, /\nfd00::1\tsix\n10\.9\.8\.7\tbox\.example box db\n$/)
  const resolv = await readFile(places.resolvConf, 'utf8')
  assert.deepEqual(
    resolv.split('\n').filter(line => /^(nameserver|search)/.test(line)),
    ['nameserver 10.9.8.1', 'search a.b c'],
  )
  assert.equal(await readFile(places.hostname, 'utf8'), 'box\n')
  const other = placesOf('ns', 'other')
  await shareEtcFiles(places, other, 'guest')
  assert.equal(await readFile(other.hosts, 'utf8'), hosts)
  assert.equal(await readFile(other.hostname, 'utf8'), 'guest\n')
})

test('a resolver inside the container is the only one; host-gateway is the gateway that is used', async () => {
  const places = placesOf('ns', 'r')
  const config = ContainerConfig.fromPartial({
    extraHosts: ['up:host-gateway'],
    dns: { nameservers: ['9.9.9.9'], options: ['timeout:1'] },
  })
  const on = (metric: number, gateway: string) => ({
    ...attachment,
    result: Result.fromPartial({
      ips: [{ address: '10.9.8.7/24', gateway }],
      routes: [{ dst: '0.0.0.0/0', gw: gateway, priority: metric }],
      dns: { nameservers: ['127.0.0.11'], options: ['ndots:0'] },
    }),
  })
  const attachments = [on(200, '10.9.8.1'), on(100, '10.7.0.1')]
  await writeEtcFiles(places, { config, hostname: 'r', sharesHost: false, attachments, links: ['10.9.8.9\tother'] })
  const resolv = await readFile(places.resolvConf, 'utf8')
  assert.match(resolv, /^nameserver 127\.0\.0\.11\noptions timeout:1 ndots:0\n/)
  assert.doesNotMatch(resolv, /9\.9\.9\.9/)
  assert.match(await readFile(places.hosts, 'utf8'), /\n10\.7\.0\.1\tup\n10\.9\.8\.9\tother\n10\.9\.8\.7\t/)
  const own = { ...config, dns: { nameservers: [], domain: '', search: [], options: ['ndots:2', 'rotate'] } }
  await writeEtcFiles(places, { config: own, hostname: 'r', sharesHost: false, attachments })
  assert.match(await readFile(places.resolvConf, 'utf8'), /\noptions ndots:2 rotate\n/)
})

test('on the host’s network the host’s files are taken over', async () => {
  const places = placesOf('ns', 'h')
  await writeEtcFiles(places, {
    config: ContainerConfig.fromPartial({}),
    hostname: 'h',
    sharesHost: true,
    attachments: [],
  })
  assert.equal(await readFile(places.resolvConf, 'utf8'), await readFile('/etc/resolv.conf', 'utf8').catch(() => ''))
})

test('standard streams as a URI: one socket per process, short enough, and the log’s limits', () => {
  const places = placesOf('ns', 'c'.repeat(76))
  const config = ContainerConfig.fromPartial({ log: { maxSizeBytes: 1000n, maxFiles: 3 }, process: { stdin: 'open' } })
  const uri = new URL(containerStdout(config, places))
  assert.equal(uri.protocol, 'gantry:')
  assert.deepEqual(Object.fromEntries(uri.searchParams), {
    log: places.logFile,
    'max-size': '1000',
    'max-file': '3',
    stdin: 'open',
  })
  assert.equal(uri.pathname, places.attachSocket(''))
  assert.ok(places.attachSocket('').length < 60)
  assert.notEqual(new URL(execStdout(places, 'e')).pathname, uri.pathname)
  assert.equal(
    new URL(containerStdout(ContainerConfig.fromPartial({ log: { driver: 'none' } }), places)).searchParams.get('log'),
    null,
  )
})
