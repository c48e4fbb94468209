/** Plugins that do what no plugin should: each harms itself alone, and the table says what it did. */
import assert from 'node:assert/strict'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { mkdir, mkdtemp, rename, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { residentBytes } from './process-memory.ts'
import { administered } from './testing/administered.ts'
import { samplePlugin, supervise } from './testing/supervised.ts'

const timeout = 120_000
const skip = process.getuid?.() === 0 ? false : 'needs root: capabilities and cgroups'

async function until(what: string, holds: () => boolean): Promise<void> {
  for (const deadline = Date.now() + 60_000; !holds(); await sleep(20))
    if (Date.now() > deadline) assert.fail(`${what} did not come about`)
}

/** Processes of the plugin at that root: children inherit its environment. */
function family(root: string): number[] {
  return readdirSync('/proc')
    .filter(entry => /^\d+$/.test(entry))
    .filter(pid => {
      try {
        return readFileSync(`/proc/${pid}/environ`, 'utf8').includes(`GANTRY_PLUGIN_ROOT=${root}\0`)
      } catch {
        return false
      }
    })
    .map(Number)
}

test('children it forked, deaf to SIGTERM, end with it: when it dies, and when it is stopped', {
  skip,
  timeout,
}, async () => {
  await using s = await supervise([{ id: 'one', config: { children: 3 }, more: { linuxCapabilities: [] } }])
  const root = join(s.home, 'root/networks/one')
  await s.plugins.channelFor('network', 'one')
  await until('its children', () => family(root).length === 4)
  const first = family(root)
  process.kill(s.row('one').pid, 'SIGKILL')
  await until('its second life', () => s.row('one').restarts === 1 && s.row('one').state === 'ready')
  await until('its children', () => family(root).length === 4)
  assert.deepEqual(
    family(root).filter(pid => first.includes(pid)),
    [],
    'none of the first life',
  )
  await s.plugins.stop()
  await until('their end', () => family(root).length === 0)
})

test('an answer of 64 MiB is refused, and not kept', { skip, timeout }, async () => {
  await using s = await supervise([{ id: 'one', config: { huge: 64 * 1024 * 1024 } }], { timing: { maxFailures: 1 } })
  const before = residentBytes(process.pid)
  await assert.rejects(s.plugins.channelFor('network', 'one'), {
    message: /network "one" could not be started: .*(larger|exceed|bytes)/i,
  })
  assert.ok(residentBytes(process.pid) - before < 64e6, 'memory')
  assert.equal(s.row('one').state, 'failed')
})

/** A plugin's folder in the plugin directory, whole at once. */
async function drop(home: string, id: string, lines: readonly string[], schema?: object): Promise<void> {
  const [aside, place] = [join(home, `${id}.aside`), join(home, 'root/plugins', id)]
  await mkdir(aside, { recursive: true })
  await writeFile(join(aside, 'plugin.toml'), [`id = "${id}"`, 'kind = "network"', ...lines].join('\n'))
  if (schema) await writeFile(join(aside, 'schema.json'), JSON.stringify(schema))
  await rename(aside, place)
}

const executable = `executable = ${JSON.stringify([samplePlugin])}`

test('what is wrong with one that was dropped is told, and harms no other', { skip, timeout }, async () => {
  const home = await mkdtemp(join(tmpdir(), 'gantry-drop-'))
  try {
    const tables = { networks: { strict: { size: 'large' } } }
    await using parts = await administered({ home, cgroup: `gantry-test-${process.pid}-drop/plugins`, tables })
    const row = (id: string) => parts.supervisor.list().find(entry => entry.id === id)
    const schema = { type: 'object', properties: { size: { type: 'integer' } }, additionalProperties: false }
    await drop(home, 'strict', [executable, 'config_schema = "schema.json"'], schema)
    await drop(home, 'nowhere', ['executable = ["./is-not-there"]'])
    await drop(home, 'odd', ['executable = ["x"]', 'colour = "blue"'])
    await drop(home, 'calm', [executable, 'linux_capabilities = []'])
    await until('the drops', () => ['strict', 'nowhere', 'calm'].every(id => row(id) !== undefined))
    await until('the fault', () => parts.administration.faults.some(text => /odd\/plugin\.toml: .*colour/.test(text)))

    assert.equal(row('odd'), undefined)
    assert.match(row('strict')?.lastError ?? '', /\[plugins\.networks\.strict\]: size must be integer/)
    await assert.rejects(parts.supervisor.channelFor('network', 'strict'), {
      message: /"strict" cannot be used: .*size/,
    })
    await assert.rejects(parts.supervisor.channelFor('network', 'nowhere'), { message: /is-not-there/ })
    assert.equal(row('calm')?.state, 'idle', 'not started before it is used')
    await parts.supervisor.channelFor('network', 'calm')
    assert.equal(row('calm')?.state, 'ready')
  } finally {
    await rm(home, { recursive: true, force: true })
  }
})

test('`plugins add` leaves behind what .pluginignore names', { skip, timeout }, async () => {
  const home = await mkdtemp(join(tmpdir(), 'gantry-drop-'))
  try {
    const source = join(home, 'source')
    await mkdir(join(source, 'target/deep'), { recursive: true })
    await mkdir(join(source, 'src/target'), { recursive: true })
    await writeFile(join(source, '.pluginignore'), 'target\n')
    await writeFile(join(source, 'plugin.toml'), `id = "lean"\nkind = "network"\nversion = "1"\n${executable}`)
    await using parts = await administered({ home, cgroup: `gantry-test-${process.pid}-lean/plugins` })
    await parts.administration.add(source)
    const installed = join(home, 'root/plugins/network-lean-1')
    assert.deepEqual(readdirSync(installed).sort(), ['.pluginignore', 'plugin.toml', 'src'])
    assert.ok(existsSync(join(installed, 'src/target')))
  } finally {
    await rm(home, { recursive: true, force: true })
  }
})
