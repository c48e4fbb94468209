/** A shim as a plugin: found by its name the moment it is there, upgraded under running containers, kept while it is used. */
import assert from 'node:assert/strict'
import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { Daemon } from '../daemon/daemon.ts'
import { gctr, refused, row, skip, timeout, until } from './plugin-room.ts'

const ours = join(import.meta.dirname, '../../build/bin/containerd-shim-gantry-v1')

/** Notes how it was called, and is our shim. */
async function shimFolder(home: string, version: string): Promise<string> {
  const folder = join(home, `mine-${version}`)
  await mkdir(folder)
  const script = `#!/bin/sh\necho "${version} $*" >> ${home}/calls\nexec ${ours} "$@"\n`
  await writeFile(join(folder, 'containerd-shim-mine-v1'), script, { mode: 0o755 })
  await cp(join(import.meta.dirname, 'runtime-options.schema.json'), join(folder, 'schema.json'))
  const manifest = [
    'id = "mine"',
    'kind = "runtime"',
    `version = "${version}"`,
    'executable = ["./containerd-shim-mine-v1"]',
    'capabilities = ["containerd.runc.v1.Options"]',
    'config_schema = "schema.json"',
  ]
  await writeFile(join(folder, 'plugin.toml'), manifest.join('\n'))
  return folder
}

test('a shim comes, serves, is upgraded under its containers, and goes', { skip, timeout }, async () => {
  const home = await mkdtemp(join(tmpdir(), 'gantry-runtime-'))
  await using undo = new AsyncDisposableStack()
  undo.defer(() => rm(home, { recursive: true, force: true }))
  await using daemon = await Daemon.start()
  const image = await daemon.importBusybox()
  const calls = async () => (await readFile(join(home, 'calls'), 'utf8')).trim().split('\n')
  const verbs = async (version: string, verb: string) =>
    (await calls()).filter(line => line.startsWith(`${version} `) && line.endsWith(` ${verb}`)).length
  const run = (...args: string[]) => gctr(daemon, 'run', '--net', 'none', ...args)
  const shims = async () => (await row(daemon, 'mine'))?.exports

  await refused(daemon, /runtime "mine" is neither registered/, 'run', '--rm', '--runtime', 'mine', image, 'true')
  const first = await shimFolder(home, '1.0.0')
  await refused(daemon, /configuration of runtime "mine"/, 'plugins', 'add', first, '--config', '{"Colour":"red"}')
  await gctr(daemon, 'plugins', 'add', first, '--config', '{"NoNewKeyring":true}')
  await until('its facts', daemon, async () => (await row(daemon, 'mine'))?.state === 'ready')
  assert.equal((await shims())?.['shim version'], '0.1.0')

  // By its id, and by the name that leads to its file.
  assert.equal(await run('--rm', '--runtime', 'mine', image, 'echo', 'hello'), 'hello\n')
  assert.equal(await run('--rm', '--runtime', 'io.containerd.mine.v1', image, 'echo', 'again'), 'again\n')
  assert.equal(await verbs('1.0.0', 'start'), 2)

  await run('-d', '--name', 'old', '--runtime', 'mine', image, 'sleep', '1000')
  await gctr(daemon, 'plugins', 'upgrade', await shimFolder(home, '1.1.0'))
  await run('-d', '--name', 'new', '--runtime', 'mine', image, 'sleep', '1000')
  assert.equal(await verbs('1.1.0', 'start'), 1)
  assert.deepEqual(await gctr(daemon, 'tasks', 'exec', 'old', 'echo', 'still there'), 'still there\n')
  const used = await shims()
  assert.deepEqual([used?.['running shims'], used?.['of other versions']], ['2', '1'])
  await refused(daemon, /in use: container "(old|new)" of namespace "default"/, 'plugins', 'rm', 'mine')

  // A gantryd that was killed finds both, each with its own executable.
  await daemon.kill()
  await daemon.start()
  assert.equal(await gctr(daemon, 'tasks', 'exec', 'old', 'echo', 'found'), 'found\n')
  const deletes = await verbs('1.0.0', 'delete')
  for (const name of ['old', 'new']) await gctr(daemon, 'containers', 'rm', '--force', name)
  await until('the old one’s delete', daemon, async () => (await shims())?.['running shims'] === '0')
  assert.ok((await verbs('1.0.0', 'delete')) >= deletes)

  await gctr(daemon, 'plugins', 'disable', 'mine')
  await refused(
    daemon,
    /runtime "mine" cannot be used: it is disabled/,
    'run',
    '--rm',
    '--runtime',
    'mine',
    image,
    'true',
  )
  await gctr(daemon, 'plugins', 'enable', 'mine')
  await gctr(daemon, 'plugins', 'rollback', 'mine')
  assert.equal(await run('--rm', '--runtime', 'mine', image, 'echo', 'back'), 'back\n')
  assert.ok((await calls()).findLast(line => line.endsWith(' start'))?.startsWith('1.0.0 '))
  await gctr(daemon, 'plugins', 'rm', 'mine')
  assert.equal(await row(daemon, 'mine'), undefined)
})

test('what is no shim never takes over', { skip, timeout }, async () => {
  const home = await mkdtemp(join(tmpdir(), 'gantry-runtime-'))
  await using undo = new AsyncDisposableStack()
  undo.defer(() => rm(home, { recursive: true, force: true }))
  await using daemon = await Daemon.start()
  await gctr(daemon, 'plugins', 'add', await shimFolder(home, '1.0.0'))
  const bad = await shimFolder(home, '2.0.0')
  await writeFile(join(bad, 'containerd-shim-mine-v1'), '#!/bin/sh\nexit 3\n', { mode: 0o755 })
  await refused(daemon, /runtime "mine" 2.0.0 failed its trial: .*is no shim/, 'plugins', 'upgrade', bad)
  assert.equal((await row(daemon, 'mine'))?.version, '1.0.0')
  await writeFile(join(home, 'mine-1.0.0/plugin.toml'), 'id="x"\nkind="runtime"\nversion="1"\nexecutable=["a","b"]\n')
  await refused(daemon, /a runtime is one executable/, 'plugins', 'add', join(home, 'mine-1.0.0'))
})
