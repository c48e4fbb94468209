import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isGantryError } from '#api/errors/errors.ts'
import { kindFolders } from '#core/plugins/plugins.ts'
import { configSchema, defaultConfigText } from './config.ts'
import { loadConfig, parseConfig } from './config-file.ts'

test('the printed default configuration is the default, and names every key', () => {
  const defaults = configSchema.parse({})
  const { plugins, ...printed } = parseConfig(defaultConfigText, 'default')
  const { plugins: none, ...expected } = defaults
  assert.deepEqual(printed, expected)
  assert.deepEqual(plugins, { ...none, snapshotters: { overlayfs: {} }, networks: { bridge: {} } })
  assert.deepEqual(none, Object.fromEntries(kindFolders.map(folder => [folder, {}])))
  for (const key of [
    ...Object.keys(expected),
    ...Object.keys(expected.containers),
    ...Object.keys(expected.registry),
    ...Object.keys(expected.gc),
  ])
    assert.match(defaultConfigText, new RegExp(`^\\[?${key}\\b`, 'm'))
})

const faults: [name: string, text: string, message: RegExp][] = [
  [
    'a value outside the choice',
    'log_level = "info"\n[containers]\ncgroup_driver = "cgroups"',
    /^f\.toml:3:1: containers\.cgroup_driver: must be one of "cgroupfs", "systemd"$/,
  ],
  [
    'an unknown key',
    '[containers]\nsnapshoter = "x"',
    /^f\.toml:2:1: containers\.snapshoter: unknown key; allowed here: snapshotter, runtime, runtimes, cgroup_driver$/,
  ],
  ['an unknown key of the top', '\nroots = "/x"', /^f\.toml:2:1: roots: unknown key; allowed here: root, /],
  ['a wrong type', 'root = 1', /^f\.toml:1:1: root: must be of type string$/],
  ['a relative path', 'root = "x"', /^f\.toml:1:1: root: must be an absolute path$/],
  [
    'a number out of range',
    '[registry]\nmax_downloads = 0',
    /^f\.toml:2:1: registry\.max_downloads: must be at least 1$/,
  ],
  ['a long state', `state = "/${'x'.repeat(64)}"`, /^f\.toml:1:1: state: must not be longer than 64 bytes$/],
  ['no TOML', 'root = "/x"\nstate = ', /^f\.toml:2:\d+: /],
  [
    'an inline table',
    'containers = { runtime = "a.b", cgroup_driver = "x" }',
    /^f\.toml:1:33: containers\.cgroup_driver: must be/,
  ],
  ['two faults', 'root = 1\nstate = 2', /^f\.toml:1:1: root: .*\nf\.toml:2:1: state: /],
]

for (const [name, text, message] of faults) {
  test(`a bad configuration is told with file, line and key: ${name}`, () => {
    assert.throws(
      () => parseConfig(text, 'f.toml'),
      error =>
        isGantryError(error, 'INVALID_ARGUMENT') && message.test(error.message.replace(/: invalid argument$/, '')),
    )
  })
}

test('a named file must be there; flags win', () => {
  assert.throws(() => loadConfig('/nonexistent/gantry.toml'), { code: 'NOT_FOUND' })
  assert.equal(loadConfig(undefined, { root: '/tmp/r' }).root, '/tmp/r')
  assert.throws(() => loadConfig(undefined, { state: 'rel' }), { message: '--state: must be an absolute path' })
})
