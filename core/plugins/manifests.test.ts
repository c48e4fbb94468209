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
  fails(text('a').replace('network', 'engine'), /kind: /)
  fails(
    text('a', 'executable = ["x"]\nlinux_capabilities = ["all"]'),
    /linux_capabilities\.0: must be a name of capabilities/,
  )
  fails(text('a', 'executable = ["x"]\n[limits]\npids = 0'), /limits\.pids: /)
  fails(text('a', ''), /needs either "executable" or "address"/)
  fails(text('a', 'executable = ["x"]\naddress = "/y"'), /needs either/)
  fails(text('a', 'executable = ["x"]\ncolour = "red"'), /colour/)
})

test('manifests are found in folders and as single files; a build takes over; a bad one harms no other', async () => {
  const home = await mkdtemp(join(tmpdir(), 'gantry-manifests-'))
  try {
    for (const folder of ['own/a', 'own/b', 'own/empty', 'own/.incoming-x', 'etc', 'bin'])
      mkdirSync(join(home, folder), { recursive: true })
    for (const id of ['a', '.incoming-x']) writeFileSync(join(home, 'own', id, 'plugin.toml'), text('a'))
    writeFileSync(join(home, 'own/b/plugin.toml'), text('b'))
    writeFileSync(join(home, 'etc/b.toml'), text('b', 'address = "/run/b.sock"'))
    writeFileSync(join(home, 'etc/c.toml'), 'id = 1')
    writeFileSync(join(home, 'bin/gantry-network-a'), '')
    const own = join(home, 'own')
    const found = await readManifests([own, join(home, 'etc'), join(home, 'missing')], {
      binDirectory: join(home, 'bin'),
      builtDirectories: [own],
    })
    assert.deepEqual(
      found.manifests.map(({ id, source }) => [id, source]),
      [
        ['a', { argv: [join(home, 'bin/gantry-network-a')] }],
        ['b', { argv: [process.execPath, join(own, 'b/main.ts'), '--fast'] }],
        ['b', { address: '/run/b.sock' }],
      ],
    )
    assert.equal(found.faults.length, 1)
    assert.match(found.faults[0] ?? '', /etc\/c\.toml: .*id/)
  } finally {
    await rm(home, { recursive: true, force: true })
  }
})

const installed: Manifest[] = [
  parseManifest(text('bridge'), '/p/bridge/plugin.toml'),
  parseManifest(text('none'), '/p/none/plugin.toml'),
]

test('configuration joins what is installed', async () => {
  const { specs, faults } = await pluginSpecs({
    manifests: installed,
    tables: {
      networks: { bridge: { mtu: 1400 }, none: { disabled: true }, brige: {} },
      snapshotters: { stargz: { address: '/run/stargz.sock' } },
    },
  })
  assert.deepEqual(
    specs.map(({ kind, id, config, version }) => ({ kind, id, config, version })),
    [
      { kind: 'snapshotter', id: 'stargz', config: {}, version: '' },
      { kind: 'network', id: 'bridge', config: { mtu: 1400 }, version: '1.2.3' },
    ],
  )
  assert.deepEqual(specs[0]?.source, { address: '/run/stargz.sock' })
  assert.match(faults.join(), /\[plugins\.networks\.brige\]: no such network is installed \(there are: bridge, none\)/)
})

test('a wrong table is refused with its name', async () => {
  const refused = (table: Record<string, unknown>, message: RegExp) =>
    assert.rejects(pluginSpecs({ manifests: installed, tables: { networks: { bridge: table } } }), { message })
  await refused({ disabled: 'yes' }, /\[plugins\.networks\.bridge\]: disabled must be true or false/)
  await refused({ address: 7 }, /address must be/)
})

test('the newest of the last directory runs, unless another one was chosen', async () => {
  const at = (path: string, version: string) => parseManifest(text('a').replace('1.2.3', version), path)
  const manifests = [
    at('/own/a/plugin.toml', '9.0'),
    at('/dir/a2/plugin.toml', '1.10'),
    at('/dir/a1/plugin.toml', '1.9'),
  ]
  const versionWith = async (chosen?: string) => {
    const decisions = [{ kind: 'network', id: 'a', ...(chosen && { chosen }) }] as const
    return (await pluginSpecs({ manifests, tables: {}, decisions })).specs[0]?.version
  }
  assert.equal(await versionWith(), '1.10')
  assert.equal(await versionWith('/own/a/plugin.toml'), '9.0')
  assert.equal(await versionWith('/gone/plugin.toml'), '1.10')
})

test('a configuration is checked by its schema, which also completes it', async () => {
  const home = await mkdtemp(join(tmpdir(), 'gantry-schema-'))
  try {
    const schema = {
      type: 'object',
      properties: { mtu: { type: 'integer', default: 1500 }, mode: { enum: ['a', 'b'] } },
      additionalProperties: false,
    }
    writeFileSync(join(home, 'schema.json'), JSON.stringify(schema))
    const toml = text('a', 'executable = ["x"]\nconfig_schema = "schema.json"')
    const manifests = [parseManifest(toml, join(home, 'plugin.toml'))]
    const specWith = async (table: Record<string, unknown>) =>
      (await pluginSpecs({ manifests, tables: { networks: { a: table } } })).specs[0]
    assert.deepEqual((await specWith({ mode: 'a' }))?.config, { mtu: 1500, mode: 'a' })
    assert.deepEqual((await specWith({ mtu: 'x', mode: 'c', size: 1 }))?.source, {
      unusable:
        '[plugins.networks.a]: must NOT have additional properties (size); mtu must be integer; mode must be equal to one of the allowed values (a, b): invalid argument',
      state: 'failed',
    })
    writeFileSync(join(home, 'schema.json'), '{"type": "nonsense"}')
    assert.match(JSON.stringify((await specWith({}))?.source), /configuration schema .*schema\.json: /)
  } finally {
    await rm(home, { recursive: true, force: true })
  }
})
