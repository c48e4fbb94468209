/** What a container's own resolver (busybox: glibc's) makes of the host's resolv.conf and of `--dns*`, through our name server. */
import assert from 'node:assert/strict'
import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { inPrivateHost } from '#sdk/network-private.ts'
import { Daemon } from '../daemon/daemon.ts'

const serverMain = fileURLToPath(new URL('networks-name-server.ts', import.meta.url))
/** Nobody answers at the first one. */
const [deadServer, hostServer, ownServer] = ['127.0.0.52', '127.0.0.53', '127.0.0.54']

if (inPrivateHost(fileURLToPath(import.meta.url))) {
  const servers: ChildProcess[] = []
  let daemon: Daemon
  let image: string
  let resolvConf: string

  before(async () => {
    execFileSync('ip', ['link', 'set', 'lo', 'up'])
    daemon = await Daemon.start()
    resolvConf = join(daemon.folder, 'resolv.conf')
    writeFileSync(resolvConf, `search example\nnameserver ${deadServer}\nnameserver ${hostServer}\n`)
    execFileSync('mount', ['--bind', resolvConf, '/etc/resolv.conf'])
    for (const address of [hostServer, ownServer]) {
      const server = spawn(process.execPath, [serverMain, 'serve', address], { stdio: ['ignore', 'pipe', 'inherit'] })
      servers.push(server)
      await once(server.stdout, 'data')
    }
    image = await daemon.importBusybox()
    await ok('networks', 'create', 'blue')
    await ok('run', '-d', '--name', 'db', '--net', 'blue', image, 'sleep', '1000')
  })
  after(async () => {
    for (const server of servers) server.kill('SIGKILL')
    execFileSync('umount', ['/etc/resolv.conf'])
    await ok('containers', 'rm', '-f', 'db')
    await daemon[Symbol.asyncDispose]()
  })

  const ok = async (...words: string[]): Promise<string> => {
    const { code, stdout, stderr } = await daemon.run(...words)
    assert.equal(code, 0, `gctr ${words.join(' ')}: ${stderr}`)
    return stdout.trim()
  }
  /** The first address of a name, as a program in a container of the network finds it; and its resolv.conf. */
  const seen = async (name: string, ...flags: string[]) => {
    const script = `cat /etc/resolv.conf; ping -4 -c1 -W1 ${name} 2>&1 | head -1`
    const lines = (await ok('run', '--rm', '--net', 'blue', ...flags, image, 'sh', '-c', script)).split('\n')
    return { conf: lines.slice(0, -1), address: /\(([\d.]+)\)/.exec(lines.at(-1) ?? '')?.[1] ?? lines.at(-1) }
  }

  test('the host’s search domain is put behind a short name; a server that is dead is passed over', async () => {
    const { conf, address } = await seen('a-127-0-5-1')
    assert.deepEqual(conf.toSorted(), ['nameserver 127.0.0.11', 'options ndots:0', 'search example'])
    assert.equal(address, '127.0.5.1')
  })

  test('a container’s name is found beside search domains, whichever is tried first', async () => {
    const db = JSON.parse(await ok('--format', 'json', 'networks', 'inspect', 'blue')).attachments[0].result.ips[0]
    const own = db.address.split('/')[0]
    assert.equal((await seen('db')).address, own)
    assert.equal((await seen('db', '--dns-option', 'ndots:3')).address, own)
    assert.equal((await seen('db.blue', '--dns-search', 'nowhere.example', '--dns-search', 'example')).address, own)
  })

  test('--dns-search instead of the host’s, in its order; --dns instead of the host’s servers', async () => {
    const flags = [
      '--dns-search',
      'nowhere.example',
      '--dns-search',
      'example',
      '--dns',
      deadServer,
      '--dns',
      ownServer,
    ]
    servers[0]?.kill('SIGKILL')
    const { conf, address } = await seen('a-127-0-5-2', ...flags)
    assert.ok(conf.includes('search nowhere.example example'), conf.join('; '))
    assert.equal(address, '127.0.5.2')
  })
}
