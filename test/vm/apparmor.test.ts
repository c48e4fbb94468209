/** AppArmor, which the guest's kernel has: a container and what is executed in it are confined by the profile it asks for. */
import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { Daemon } from '../daemon/daemon.ts'
import { runCommand } from '../daemon/run-command.ts'

const label = '/proc/self/attr/current'

test('a container and its exec are confined by the profile that was asked for', async () => {
  await using daemon = await Daemon.start()
  const image = await daemon.importBusybox()
  const profile = join(daemon.folder, 'profile')
  await writeFile(
    profile,
    'profile gantry-vm flags=(attach_disconnected) {\n  file,\n  capability,\n  signal,\n  deny /etc/secret r,\n}\n',
  )
  const parser = (verb: string) => runCommand(['/usr/sbin/apparmor_parser', '--skip-cache', verb, profile])
  assert.equal((await parser('--replace')).code, 0)
  const flags = ['run', '-d', '--net', 'none', '--name', 'confined', '--security-opt', 'apparmor=gantry-vm']
  const run = await daemon.run(...flags, image, 'sleep', '1000')
  assert.equal(run.code, 0, run.stderr)
  const script = `cat ${label}; echo x > /etc/secret; cat /etc/secret`
  const { stdout, stderr } = await daemon.run('tasks', 'exec', 'confined', 'sh', '-c', script)
  assert.equal(stdout, 'gantry-vm (enforce)\n')
  assert.match(stderr, /Permission denied/)
  await daemon.run('containers', 'rm', '--force', 'confined')

  const free = await daemon.run('run', '--rm', '--net', 'none', image, 'cat', label)
  assert.equal(free.stdout, 'unconfined\n')
  const wrong = await daemon.run('run', '--rm', '--net', 'none', '--security-opt', 'apparmor=none-such', image, 'true')
  assert.notEqual(wrong.code, 0)
  assert.match(wrong.stderr, /AppArmor profile: none-such/)
  assert.equal((await parser('--remove')).code, 0)
})
