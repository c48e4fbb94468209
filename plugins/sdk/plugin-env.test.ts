import assert from 'node:assert/strict'
import { test } from 'node:test'
import { readInvocation } from './plugin-env.ts'

const plugin = { kind: 'network', id: 'bridge', version: '1.0.0', capabilities: [] } as const
const env = { GANTRY_PLUGIN_ADDRESS: '/run/x.sock', GANTRY_PLUGIN_ROOT: '/var/x' }

function settings(args: string[], more: Record<string, string> = {}) {
  const invocation = readInvocation(plugin, args, { ...env, ...more })
  assert.ok('settings' in invocation)
  return invocation.settings
}

test('from the environment, completed', () => {
  const found = settings([], {
    GANTRY_PLUGIN_CONFIG: '{"a":1}',
    GANTRY_INSTANCE: '0123abcd',
    GANTRY_PLUGIN_WATCH_STDIN: '1',
  })
  assert.deepEqual(found, {
    address: '/run/x.sock',
    root: '/var/x',
    state: '/var/x/state',
    rawConfig: { a: 1 },
    instance: '0123abcd',
    logLevel: 'info',
    watchStdin: true,
  })
})

test('flags win', () => {
  const found = settings(['--address', 'unix:///other.sock', '--root', '/other', '--log-level', 'debug'])
  assert.deepEqual([found.address, found.root, found.logLevel], ['/other.sock', '/other', 'debug'])
})

test('without an instance, the root tells two of them apart, always the same way', () => {
  assert.match(settings([]).instance, /^[0-9a-f]{8}$/)
  assert.equal(settings([]).instance, settings([]).instance)
  assert.notEqual(settings([]).instance, settings(['--root', '/elsewhere']).instance)
})

test('what is wrong is named', () => {
  const fails = (args: string[], more: Record<string, string>, message: RegExp) =>
    assert.throws(() => settings(args, more), { code: 'INVALID_ARGUMENT', message })
  fails(['--nope'], {}, /--nope/)
  fails(['--address', 'relative'], {}, /address "relative" is not an absolute path/)
  fails(['--address', `/${'x'.repeat(107)}`], {}, /longer than the 107 bytes/)
  fails([], { GANTRY_PLUGIN_ROOT: '' }, /neither --root nor GANTRY_PLUGIN_ROOT/)
  fails(['--config', '{'], {}, /configuration is not JSON/)
  fails(['--instance', 'XYZ'], {}, /instance "XYZ"/)
  fails(['--log-level', 'loud'], {}, /log level "loud" is not one of trace/)
  fails([], { GANTRY_PLUGIN_ID: 'host' }, /this is the network "bridge", not the network "host"/)
})

test('help and version need nothing else', () => {
  assert.deepEqual(readInvocation(plugin, ['--version'], {}), { print: '1.0.0' })
  const help = readInvocation(plugin, ['--help'], {})
  assert.ok('print' in help && /--address PATH/.test(help.print))
})
