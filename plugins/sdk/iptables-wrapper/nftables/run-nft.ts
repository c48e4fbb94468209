/** Loads rules through nft(8): what nobody waits for often, and would be thousands of lines of netlink. */
import { existsSync } from 'node:fs'
import { messageOf, unavailable } from '#api/errors/errors.ts'
import { isSysError, type SpawnResult, spawnDetached } from '#api/sys/sys.ts'

const nftPaths = ['/usr/sbin/nft', '/sbin/nft', '/usr/bin/nft', '/usr/local/sbin/nft']

export function hasNft(): boolean {
  return nftPaths.some(path => existsSync(path))
}

/** One transaction. UNAVAILABLE: there is no nft, or it (or the kernel) refuses. */
export async function runNft(text: string): Promise<void> {
  const result = await spawnNft(['-f', '-'], Buffer.from(text))
  if (result.code !== 0)
    throw unavailable(
      `nft refused our table: ${result.stderr.toString().trim() || `exit code ${result.code}`}; needs nftables 0.9.8 or newer and a kernel with nf_tables`,
    )
}

/** The rules of a table as nft(8) writes them, by their handles; empty when the table is gone. */
export async function listRules(family: string, table: string): Promise<ReadonlyMap<number, string>> {
  const { stdout } = await spawnNft(['-a', 'list', 'table', family, table])
  const lines = [...stdout.toString().matchAll(/^\s*(.*\S)\s+# handle (\d+)$/gm)]
  return new Map(lines.map(([, text = '', handle]) => [Number(handle), text]))
}

async function spawnNft(args: readonly string[], stdin = Buffer.alloc(0)): Promise<SpawnResult> {
  for (const path of nftPaths) {
    try {
      return await spawnDetached({
        argv: [path, ...args],
        env: { PATH: '/usr/sbin:/usr/bin', LC_ALL: 'C' },
        cwd: '/',
        stdin,
      })
    } catch (error) {
      if (isSysError(error, 'ENOENT')) continue
      throw unavailable(`${path} does not start: ${messageOf(error)}`, { cause: error })
    }
  }
  throw unavailable(`nft is in none of ${nftPaths.join(', ')}: install the package "nftables"`)
}
