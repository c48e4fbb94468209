/** iptables(8) and ip6tables(8) through their restore and save commands: whole tables' changes in one transaction. */
import { existsSync } from 'node:fs'
import { unavailable } from '#api/errors/errors.ts'
import { spawnDetached } from '#api/sys/sys.ts'
import { type Family, families } from '../../network-addresses.ts'

const directories = ['/usr/sbin', '/sbin', '/usr/bin', '/usr/local/sbin']
/** Others change rules too: so long we wait for their lock (xtables.lock). */
const lockSeconds = '10'

/** Both families' commands are installed. */
export function hasIptables(): boolean {
  return families.every(family => find(`${prefixOf(family)}-restore`) !== undefined)
}

/** The commands change the tables of old rather than nf_tables': `iptables v1.8.9 (legacy)`, `iptables v1.6.1`. */
export async function isLegacy(): Promise<boolean> {
  return !(await run('iptables', ['-V'], {})).includes('(nf_tables)')
}

/** Loads lines as iptables-save(8) writes them; chains that are not named stay. UNAVAILABLE: refused, and nothing is changed. */
export async function restoreRules(family: Family, text: string, netns?: string): Promise<void> {
  await run(`${prefixOf(family)}-restore`, ['--noflush', '-w', lockSeconds], { stdin: text, netns })
}

/** The lines of all tables. */
export async function savedRules(family: Family): Promise<string[]> {
  return (await run(`${prefixOf(family)}-save`, [], {})).split('\n')
}

function prefixOf(family: Family): string {
  return family === 4 ? 'iptables' : 'ip6tables'
}

function find(program: string): string | undefined {
  return directories.map(directory => `${directory}/${program}`).find(path => existsSync(path))
}

interface RunOptions {
  readonly stdin?: string
  readonly netns?: string | undefined
}

async function run(program: string, args: readonly string[], { stdin = '', netns }: RunOptions): Promise<string> {
  const path = find(program)
  if (path === undefined)
    throw unavailable(`${program} is in none of ${directories.join(', ')}: install the package "iptables"`)
  const enter = netns === undefined ? [] : [find('nsenter') ?? 'nsenter', `--net=${netns}`]
  const { code, stdout, stderr } = await spawnDetached({
    argv: [...enter, path, ...args],
    env: { PATH: directories.join(':'), LC_ALL: 'C' },
    cwd: '/',
    stdin: Buffer.from(stdin),
  })
  if (code === 0) return stdout.toString()
  throw unavailable(`${program} refused our rules: ${stderr.toString().trim() || `exit code ${code}`}`)
}
