/** `gctr plugins new`: each template is made, built and run as its reader would, and passes the kit. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { homedir, tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { callsOfCycle, snapshotCycle } from '#core/plugins/testing/snapshot-cycle.ts'
import { spec, supervise } from '#core/plugins/testing/supervised.ts'
import { Daemon } from '../daemon/daemon.ts'
import { patience } from '../daemon/patience.ts'
import { runCommand } from '../daemon/run-command.ts'
import { gctr, row, until } from './plugin-room.ts'

const repo = join(import.meta.dirname, '../..')
const timeout = 900_000 * patience
const buildMs = 600_000 * patience
/** A plugin's first seconds on a busy machine. */
const startMs = 60_000 * patience

/** Undefined: it can be had. */
function missing(paths: readonly string[]): string | undefined {
  const absent = [join(repo, 'build/contracts.binpb'), ...paths].find(path => !existsSync(path))
  return process.getuid?.() === 0 ? absent && `needs ${absent}` : 'needs root'
}

async function hasProgram(name: string): Promise<boolean> {
  return (await runCommand(['/bin/sh', '-c', `command -v ${name}`])).code === 0
}

const gctrOfSources = [process.execPath, '--', join(repo, 'cmd/gctr/main.ts')]

interface Made extends AsyncDisposable {
  readonly folder: string
  readonly place: string
}

async function make(kind: string, language: string): Promise<Made> {
  const place = await mkdtemp(join(tmpdir(), 'gantry-new-'))
  const folder = join(place, 'mine')
  const argv = [...gctrOfSources, 'plugins', 'new', '--kind', kind, '--language', language, folder]
  const { code, stderr } = await runCommand(argv)
  assert.equal(code, 0, stderr)
  return { folder, place, [Symbol.asyncDispose]: () => rm(place, { recursive: true, force: true }) }
}

/** Runs it as gantryd would, and lets the kit judge it. */
async function judge(
  { folder, place }: Made,
  argv: readonly string[],
  kind: string,
  ...flags: string[]
): Promise<void> {
  const address = join(place, 's.sock')
  const env = {
    ...process.env,
    GANTRY_PLUGIN_ID: 'mine',
    GANTRY_PLUGIN_KIND: kind,
    GANTRY_PLUGIN_ADDRESS: address,
    GANTRY_PLUGIN_ROOT: join(place, 'root'),
    GANTRY_PLUGIN_STATE: join(place, 'state'),
    GANTRY_INSTANCE: '5017e0ff',
  }
  await mkdir(env.GANTRY_PLUGIN_ROOT)
  const [program = '', ...args] = argv
  const child = spawn(program, args, { env, cwd: folder, stdio: ['ignore', 'ignore', 'pipe'] })
  let said = ''
  child.stderr.on('data', chunk => {
    said += String(chunk)
  })
  const exited = once(child, 'exit')
  try {
    for (const deadline = Date.now() + startMs; !existsSync(address); await new Promise(r => setTimeout(r, 50)))
      assert.ok(Date.now() < deadline && child.exitCode === null, `it does not listen; it said:\n${said}`)
    const command = [...gctrOfSources, 'plugins', 'check', '--kind', kind, ...flags, address]
    const { code, stdout, stderr } = await runCommand(command, { timeoutMs: 300_000 * patience })
    assert.equal(code, 0, `${stdout}\n${stderr}\n${said}`)
  } finally {
    child.kill('SIGTERM')
  }
  const [code] = await exited
  assert.equal(code, 0, `it ends in its own way; it said:\n${said}`)
}

const inOwnNetwork = ['unshare', '--net']

test('a snapshotter in TypeScript', { skip: missing([]), timeout }, async () => {
  await using made = await make('snapshotter', 'typescript')
  await judge(made, [process.execPath, 'main.ts'], 'snapshotter', '--copies')
})

test('a network plugin in TypeScript', { skip: missing([]), timeout }, async () => {
  await using made = await make('network', 'typescript')
  await judge(made, [process.execPath, 'main.ts'], 'network')
})

test('a log sink in TypeScript', { skip: missing([]), timeout }, async () => {
  await using made = await make('log-sink', 'typescript')
  await using daemon = await Daemon.start()
  await gctr(daemon, 'plugins', 'add', made.folder)
  await until('its start', daemon, async () => (await row(daemon, 'mine'))?.state === 'ready')
})

const python = missing(['/usr/bin/python3', '/usr/lib/python3/dist-packages/grpc'])

test('a snapshotter in Python', { skip: python, timeout }, async () => {
  await using made = await make('snapshotter', 'python')
  await judge(made, ['/usr/bin/python3', 'main.py'], 'snapshotter', '--copies')
})

const cargo = missing([]) ?? ((await hasProgram('cargo')) ? undefined : 'needs cargo')
/** As shim-native/Cargo.toml has it: what is built there already is used again. */
const sharedBuild = {
  CARGO_TARGET_DIR: join(repo, 'shim-native/target'),
  CARGO_PROFILE_RELEASE_OPT_LEVEL: '2',
  CARGO_PROFILE_RELEASE_LTO: 'thin',
  CARGO_PROFILE_RELEASE_CODEGEN_UNITS: '4',
}

async function build({ folder }: Made, env: Record<string, string> = {}): Promise<void> {
  // Both tool chains keep what they downloaded in the user's home, which a bare environment does not name.
  const { code, stderr } = await runCommand([join(folder, 'build.sh')], {
    env: { HOME: homedir(), ...env },
    timeoutMs: buildMs,
  })
  assert.equal(code, 0, stderr)
}

test('a network plugin in Rust, and a container on it', { skip: cargo, timeout }, async () => {
  await using made = await make('network', 'rust')
  await build(made, sharedBuild)
  await judge(made, [...inOwnNetwork, join(made.folder, 'plugin')], 'network')

  await using daemon = await Daemon.start()
  const image = await daemon.importBusybox()
  await gctr(daemon, 'plugins', 'add', made.folder)
  await gctr(daemon, 'networks', 'create', '--driver', 'mine', 'pairs')
  const told = await gctr(
    daemon,
    'run',
    '--rm',
    '--net',
    'pairs',
    image,
    'sh',
    '-c',
    'ip addr show eth0 && ping -c 1 -W 5 100.64.0.0',
  )
  assert.match(told, /inet 100\.64\.0\.1\/31/)
  assert.match(told, /1 packets received/)
  await gctr(daemon, 'networks', 'rm', 'pairs')
  await gctr(daemon, 'plugins', 'rm', '--purge', 'mine')
})

test('a snapshotter in Rust', { skip: cargo, timeout }, async () => {
  await using made = await make('snapshotter', 'rust')
  await build(made, sharedBuild)
  await judge(made, [join(made.folder, 'plugin')], 'snapshotter', '--copies')
})

/** As the template's go.mod asks for. */
const go = missing([]) ?? ((await goMinor()) >= 26 ? undefined : 'needs Go 1.26')

async function goMinor(): Promise<number> {
  const { stdout } = await runCommand(['/bin/sh', '-c', 'go version'], { env: { HOME: homedir() } })
  return Number(/go1\.(\d+)/.exec(stdout)?.[1] ?? 0)
}

/** Undefined: the proxy for Go's modules cannot be reached. */
async function makeInGo(): Promise<Made | undefined> {
  const made = await make('snapshotter', 'go')
  const argv = ['go', '-C', made.folder, 'mod', 'download']
  if ((await runCommand(argv, { env: { HOME: homedir() }, timeoutMs: buildMs })).code !== 0) return undefined
  await build(made)
  return made
}

test('a snapshotter in Go', { skip: go, timeout }, async t => {
  await using made = await makeInGo()
  if (made === undefined) return t.skip('no Go modules can be had here')
  await judge(made, [join(made.folder, 'plugin')], 'snapshotter', '--copies')
})

test('another implementation takes over under load: Python, Go, and back', { skip: go ?? python, timeout }, async t => {
  await using inGo = await makeInGo()
  if (inGo === undefined) return t.skip('no Go modules can be had here')
  await using inPython = await make('snapshotter', 'python')
  const wish = { kind: 'snapshotter', id: 'mine' } as const
  const written = [
    { ...wish, argv: ['/usr/bin/python3', join(inPython.folder, 'main.py')], more: { version: '1.0.0' } },
    { ...wish, argv: [join(inGo.folder, 'plugin')], more: { version: '2.0.0' } },
  ] as const
  await using s = await supervise([written[0]], { timing: { startMs } })
  const snapshotter = s.plugins.snapshotter('mine')
  await snapshotter.prepare('ns/0/kept', '', { made: 'by python' })
  let [operations, swaps] = [0, 0]
  const done = () => swaps >= 4 && operations >= 100
  const work = async (_: unknown, worker: number) => {
    for (let cycle = 0; !done(); cycle++) {
      await snapshotCycle(snapshotter, `ns/${worker}/${cycle}`)
      operations += callsOfCycle
    }
  }
  const swapping = async () => {
    for (; !done(); swaps++) await s.plugins.apply(spec(written[swaps % 2 === 0 ? 1 : 0]))
  }
  await Promise.all([swapping(), ...Array.from({ length: 6 }, work)])
  const { labels, kind } = await snapshotter.stat('ns/0/kept')
  assert.deepEqual([labels, kind, s.row('mine').traffic.errors], [{ made: 'by python' }, 'active', 0])
  const { calls, errors, p50Ms, p99Ms, maxMs } = s.row('mine').traffic
  t.diagnostic('swaps  operations  calls  failed  p50 ms  p99 ms  longest ms')
  t.diagnostic([swaps, operations, calls, errors, p50Ms, p99Ms, maxMs].map(n => Math.round(n)).join('  '))
})
