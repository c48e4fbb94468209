/** A directory tree as comparable data: what a container would notice, times left out. */
import { lstatSync, readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { join } from 'node:path'

/**
 * Every path below `root` (and `.`), each with type, mode, owner and content, as `path → description`: two of them can
 * be compared by `deepEqual`, which then shows exactly what differs.
 */
export function describeTree(root: string): Record<string, string> {
  const found: Record<string, string> = {}
  const visit = (relative: string) => {
    const path = join(root, relative)
    const { mode, uid, gid, rdev } = lstatSync(path)
    found[relative] = `${mode.toString(8)} ${uid}:${gid} ${contentOf(path, mode, rdev)}`
    if (isType(mode, 0o040000)) for (const name of readdirSync(path).sort()) visit(join(relative, name))
  }
  visit('.')
  return found
}

const isType = (mode: number, type: number) => (mode & 0o170000) === type

function contentOf(path: string, mode: number, rdev: number): string {
  if (isType(mode, 0o100000)) return `file ${JSON.stringify(readFileSync(path, 'latin1'))}`
  if (isType(mode, 0o120000)) return `link ${readlinkSync(path)}`
  if (isType(mode, 0o040000)) return 'directory'
  return `device ${rdev}`
}
