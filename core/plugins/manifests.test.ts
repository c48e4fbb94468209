import assert from 'node:assert/strict'
import { mkdirSync, writeFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { type Manifest, parseManifest, readManifests } from './manifests.ts'
import { pluginSpecs } from './specs.ts'

const text = (id: string, more = 'executable = ["main.ts", "--fast"]') =>
  `id = "${id}"\nkind = "network"\nversion = "1.2.3"\n${more}\n`

test('a program counts from the manifest’s folder, TypeScript runs with our Node', () => {
  assert.deepEqual(parseManifest(text('a'), '/p/a/plugin.toml').source, {
    argv: [process.execPath, '/p/a/main.ts', '--fast'],
  })
  assert.deepEqual(parseManifest(text('a', 'executable = ["bin/a"]'), '/p/a/plugin.toml').source, {
    argv: ['/p/a/bin/a'],
  })
  assert.deepEqual(parseManifest(text('a', 'executable = ["/opt/a"]'), '/p/a/plugin.toml').source, { argv: ['/opt/a'] })
  assert.deepEqual(parseManifest(text('a', 'executable = ["python3", "a.py"]'), '/p/plugin.toml').source, {
    argv: ['python3', 'a.py'],
  })
  assert.deepEqual(parseManifest(text('a', 'address = "/run/a.sock"'), '/p/a.toml').source, { address: '/run/a.sock' })
})

test('a bad manifest names its file and the fault', () => {
  const fails = (bad: string, words: RegExp) =>
    assert.throws(
      () => parseManifest(bad, '/p/a.toml'),
      (error: Error) => /plugin manifest \/p\/a\.toml: /.test(error.message) && words.test(error.message),
    )
  fails('id = ', /./)
  fails(text('A/B'), /id: must be lower-case words/)
  fails(text('a').replace('network', 'runtime'), /kind: /)
  fails(text('a', ''), /needs either "executable" or "address"/)
  fails(text('a', 'executable = ["x"]\naddress = "/y"'), /needs either/)
  fails(text('a', 'executable = ["x"]\ncolour = "red"'), /colour/)
})

test('manifests are found in folders and as single files; later directories win; a build takes over', async () => {
  const home = await mkdtemp(join(tmpdir(), 'gantry-manifests-'))
  try {
    for (const folder of ['own/a', 'own/b', 'own/empty', 'etc', 'bin'])
      mkdirSync(join(home, folder), { recursive: true })
    for (const id of ['a', 'b']) writeFileSync(join(home, 'own', id, 'plugin.toml'), text(id))
    writeFileSync(join(home, 'etc/b.toml'), text('b', 'address = "/run/b.sock"'))
    writeFileSync(join(home, 'bin/gantry-network-a'), '')
    const found = await readManifests([join(home, 'own'), join(home, 'etc'), join(home, 'missing')], {
      binDirectory: join(home, 'bin'),
    })
    assert.deepEqual(
      found.map(({ id, source }) => [id, source]),
      [
        ['a', { argv: [join(home, 'bin/gantry-network-a')] }],
        ['b', { address: '/run/b.sock' }],
      ],
    )
  } finally {
    await rm(home, { recursive: true, force: true })
  }
})

const installed: Manifest[] = [
  parseManifest(text('bridge'), '/p/bridge/plugin.toml'),
  parseManifest(text('none'), '/p/none/plugin.toml'),
]

test('configuration joins what is installed', () => {
  const specs = pluginSpecs(installed, {
    networks: { bridge: { mtu: 1400 }, none: { disabled: true } },
    snapshotters: { stargz: { address: '/run/stargz.sock' } },
  })
  assert.deepEqual(
    specs.map(({ kind, id, config, version }) => ({ kind, id, config, version })),
    [
      { kind: 'snapshotter', id: 'stargz', config: {}, version: '' },
      { kind: 'network', id: 'bridge', config: { mtu: 1400 }, version: '1.2.3' },
    ],
  )
  assert.deepEqual(specs[0]?.source, { address: '/run/stargz.sock' })
})

test('a table for nothing, or a wrong one, is refused with its name', () => {
  assert.throws(() => pluginSpecs(installed, { networks: { brige: {} } }), {
    message: /\[plugins\.networks\.brige\]: no such network is installed \(there are: bridge, none\)/,
  })
  assert.throws(() => pluginSpecs(installed, { networks: { bridge: { disabled: 'yes' } } }), {
    message: /disabled must be true or false/,
  })
  assert.throws(() => pluginSpecs(installed, { networks: { bridge: { address: 7 } } }), { message: /address must be/ })
})
