/** A small Debian for Dockerfiles that are like real ones: made by debootstrap once, and kept in build/cache. */
import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { mkdir, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'

const run = promisify(execFile)
const cache = join(import.meta.dirname, '../../../build/cache')
const suite = 'bookworm'
/** A language, a compiler and a server, each the smallest of its kind. */
const packages = ['python3-minimal', 'tcc', 'libc6-dev', 'nginx-light']
const debootstrap = '/usr/sbin/debootstrap'
const limitMs = 8 * 60_000

/** Why there is none; false when there is, or one can be made. */
export const debianLacks = existsSync(debootstrap) || existsSync(archivePath()) ? false : 'debootstrap is not installed'

function archivePath(): string {
  const recipe = createHash('sha256').update(`${suite} ${packages} ${trimmed}`).digest('hex').slice(0, 12)
  return join(cache, `debian-corpus-${recipe}.tar`)
}

/** What the file system is big with, and no build looks at. */
const trimmed = [
  'var/cache/apt',
  'var/lib/apt/lists',
  'usr/share/doc',
  'usr/share/man',
  'usr/share/locale',
  'usr/share/info',
]

/** Debian's mirror did not answer: nothing is known of what was to be tested. */
export class MirrorOutOfReach extends Error {}

/** Path of its root as a tar archive. Takes a minute the first time. Throws {@link MirrorOutOfReach}, or debootstrap's last words. */
export async function debianBase(): Promise<string> {
  const archive = archivePath()
  if (existsSync(archive)) return archive
  await mkdir(cache, { recursive: true })
  const root = `${archive}.root-${process.pid}`
  const aside = `${archive}.part-${process.pid}`
  try {
    const flags = ['--variant=minbase', `--include=${packages.join(',')}`, suite, root]
    await run(debootstrap, flags, { timeout: limitMs, maxBuffer: 16 * 1024 * 1024 }).catch(told)
    const excluded = [...trimmed, 'dev', 'proc', 'sys'].map(path => `--exclude=./${path}/*`)
    await run('tar', ['--sort=name', '--numeric-owner', ...excluded, '-C', root, '-cf', aside, '.'])
    await rename(aside, archive)
    return archive
  } finally {
    await Promise.all([root, aside].map(path => rm(path, { recursive: true, force: true })))
  }
}

/** What went wrong is on its standard output. */
function told(error: Error & { stdout?: string; stderr?: string }): never {
  const last = `${error.stdout ?? ''}${error.stderr ?? ''}`.trim().split('\n').slice(-5).join('\n')
  const isUnreachable = /Failed getting release file|Couldn't download/.test(last)
  throw new (isUnreachable ? MirrorOutOfReach : Error)(`debootstrap failed: ${last}`, { cause: error })
}
