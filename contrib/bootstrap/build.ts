/**
 * Bundles each executable into one file of `build/lib` (and chunks that the daemons share), and writes its launcher, `build/bin/<name>`.
 * One file because a start that resolves a hundred modules costs more than the work it does.
 */
import { existsSync } from 'node:fs'
import { chmod, cp, mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { type BuildOptions, build } from 'esbuild'
import { gitRevision } from '../../core/version/revision.ts'

const repo = join(import.meta.dirname, '..', '..')

/** Executable name → entry file. Plugins are named `gantry-<kind>-<id>`. */
async function executables(): Promise<Record<string, string>> {
  const found: Record<string, string> = { gantryd: 'cmd/gantryd/main.ts', gctr: 'cmd/gctr/main.ts' }
  found['gantry-plugin-check'] = 'cmd/plugin-check/main.ts'
  for (const kinds of ['snapshotters', 'networks', 'gateways', 'builders', 'log-drivers'])
    for (const id of await readdir(join(repo, 'plugins', kinds)).catch(() => []))
      found[`gantry-${kinds.slice(0, -1)}-${id}`] = await entryOf(join('plugins', kinds, id))
  return found
}

/** A plugin's main.ts: its own, or the one that its manifest names. */
async function entryOf(folder: string): Promise<string> {
  if (existsSync(join(repo, folder, 'main.ts'))) return join(folder, 'main.ts')
  const named = /^executable = \["(.+\.ts)"\]$/m.exec(await readFile(join(repo, folder, 'plugin.toml'), 'utf8'))?.[1]
  if (named === undefined) throw new Error(`${folder} has no main.ts, and its plugin.toml names none`)
  return join(folder, named)
}

/** Packages that load native code or files beside themselves stay outside; Node finds them above `build/`. */
const external = ['lmdb', 'netlink', 'pino', 'pino-pretty']

/** Some CommonJS dependencies call `require`, which an ES module does not have. */
const banner = {
  js: `import { createRequire as __createRequire } from 'node:module'; const require = __createRequire(import.meta.url);`,
}

const common: BuildOptions = {
  absWorkingDir: repo,
  outdir: 'build/lib',
  bundle: true,
  platform: 'node',
  target: 'esnext',
  minifySyntax: true,
  keepNames: false,
  legalComments: 'none',
  logLevel: 'warning',
  external,
  define: { 'process.env.GANTRY_REVISION': JSON.stringify(gitRevision(repo)) },
}

/** What starts once and stays: its parts are shared in chunks. */
async function buildDaemons(entries: Record<string, string>): Promise<void> {
  await build({
    ...common,
    entryPoints: Object.entries(entries).map(([out, path]) => ({ out, in: path })),
    splitting: true,
    chunkNames: 'chunks/[name]-[hash]',
    format: 'esm',
    banner,
  })
}

/**
 * A command starts each time: one CommonJS file, whose modules run when they are first imported. Node's loader of ES
 * modules costs 4 ms more at `gctr version` and 12 ms more at `gctr run`.
 */
async function buildCommand(name: string, path: string): Promise<void> {
  await build({
    ...common,
    entryPoints: [{ out: name, in: path }],
    format: 'cjs',
    outExtension: { '.js': '.cjs' },
  })
}

await rm(join(repo, 'build/lib'), { recursive: true, force: true })
const { gctr = '', ...daemons } = await executables()
await Promise.all([buildDaemons(daemons), buildCommand('gctr', gctr)])
/**
 * V8 is slow to collect garbage where there is room: with its defaults gantryd and the gateway grew from 90 to 370 MB each under a steady
 * load that needs 25. Both limits make it collect sooner, at no measurable cost; the second is also where a leak would end.
 */
const daemonMemory = ['--max-semi-space-size=2', '--max-old-space-size=512']
/**
 * glibc keeps what is freed in a heap for each thread, and raises its own limits: gantryd had three times what it used
 * (mallopt(3); docs/memory.md). One heap, whose free end goes back.
 */
const daemonMalloc = ['MALLOC_ARENA_MAX=1', 'MALLOC_TRIM_THRESHOLD_=524288', 'MALLOC_MMAP_THRESHOLD_=2097152']

await writeLauncher('gctr', 'gctr.cjs')
for (const name of Object.keys(daemons)) await writeLauncher(name, `${name}.js`, daemonMemory, daemonMalloc)
// What `gctr plugins new` copies.
await cp(join(repo, 'contrib/examples'), join(repo, 'build/lib/templates'), { recursive: true })
await cp(join(repo, 'build/contracts.binpb'), join(repo, 'build/lib/contracts.binpb'))

/**
 * A launcher uses the pinned Node whatever `node` is in PATH, follows symbolic links to itself, and lets V8
 * keep compiled code between starts. After `--` Node reads no option: it would take our --env-file for its own.
 */
async function writeLauncher(
  name: string,
  file: string,
  nodeOptions: readonly string[] = [],
  environment: readonly string[] = [],
): Promise<void> {
  const path = join(repo, 'build/bin', name)
  const arch = process.arch === 'arm64' ? 'arm64' : 'x64'
  const script = `#!/bin/sh
case $0 in */*) self=$0 ;; *) self=$(command -v "$0") ;; esac
[ -L "$self" ] && self=$(readlink -f "$self")
home=\${self%/bin/*}
export NODE_COMPILE_CACHE="\${NODE_COMPILE_CACHE-$home/cache}"${environment.map(setting => ` ${setting}`).join('')}
exec "$home/../node_modules/node-linux-${arch}/bin/node" ${['--disable-warning=ExperimentalWarning', ...nodeOptions].join(' ')} -- "$home/lib/${file}" "$@"
`
  await mkdir(dirname(path), { recursive: true })
  await writeFile(path, script)
  await chmod(path, 0o755)
}
