import { execFileSync } from 'node:child_process'

/**
 * The commit this was made from, with `.m` behind it when files were changed since; empty when nobody knows. A build has
 * it written in (contrib/bootstrap/build.ts replaces the variable); the sources ask git.
 */
export function sourceRevision(): string {
  return process.env.GANTRY_REVISION ?? gitRevision(import.meta.dirname)
}

/** Of the checkout a folder is in. */
export function gitRevision(folder: string): string {
  const git = (...args: string[]) =>
    execFileSync('git', args, { cwd: folder, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim()
  try {
    const revision = git('rev-parse', 'HEAD')
    return git('status', '--porcelain', '--untracked-files=no') === '' ? revision : `${revision}.m`
  } catch {
    // No git, or no checkout: an archive of the sources.
    return ''
  }
}
