/** A bridged container on a host with systemd and a plain Debian kernel: its address, its published port, and nothing after. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { Daemon } from '../daemon/daemon.ts'
import { runCommand } from '../daemon/run-command.ts'
import { requireGone } from '../integration/leftovers.ts'

let daemon: Daemon
let image: string

before(async () => {
  daemon = await Daemon.start()
  image = await daemon.importBusybox()
})
after(async () => {
  await daemon?.[Symbol.asyncDispose]()
})

test('a published port answers on loopback and on the container’s own address', async () => {
  const serve = ['sh', '-c', 'mkdir -p /www; echo served > /www/index.html; exec httpd -f -p 80 -h /www']
  const started = await daemon.run('run', '-d', '--name', 'web', '-p', '127.0.0.1:18080:80', image, ...serve)
  assert.equal(started.code, 0, started.stderr)
  const { stdout } = await daemon.run('tasks', 'exec', 'web', 'ip', '-4', 'addr', 'show', 'eth0')
  const [, address] = /inet (172\.[\d.]+)/.exec(stdout) ?? []
  for (const place of ['127.0.0.1:18080', `${address}:80`]) {
    const answer = await runCommand(['curl', '-sS', '--retry', '5', '--retry-connrefused', `http://${place}/`])
    assert.deepEqual([answer.code, answer.stdout], [0, 'served\n'], `${place}: ${answer.stderr}`)
  }
  assert.equal((await daemon.run('containers', 'rm', '--force', 'web')).code, 0)
  await requireGone(daemon, 'web')
  assert.notEqual((await runCommand(['curl', '-sS', 'http://127.0.0.1:18080/'])).code, 0)
})

test('two bridged containers reach each other', async () => {
  const serve = ['sh', '-c', 'mkdir -p /www; echo peer > /www/index.html; exec httpd -f -p 80 -h /www']
  assert.equal((await daemon.run('run', '-d', '--name', 'peer', image, ...serve)).code, 0)
  const { stdout } = await daemon.run('tasks', 'exec', 'peer', 'hostname', '-i')
  const fetch = ['sh', '-c', `for i in 1 2 3 4 5; do wget -q -O - http://${stdout.trim()}/ && exit; sleep 1; done`]
  const fetched = await daemon.run('run', '--rm', image, ...fetch)
  assert.equal(fetched.stdout, 'peer\n', fetched.stderr)
  await daemon.run('containers', 'rm', '--force', 'peer')
  await requireGone(daemon, 'peer')
})
