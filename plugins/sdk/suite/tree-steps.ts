/** Small changes to a directory tree, as values: the same list is applied to a snapshot and to a plain directory. */
import { chmodSync, chownSync, linkSync, mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

/** Changes the tree below `root`. */
export type Step = (root: string) => void

/** Writes a file, over whatever was there; the mode holds whatever the umask. */
export const file =
  (path: string, content: string, mode = 0o644): Step =>
  root => {
    writeFileSync(join(root, path), content)
    chmodSync(join(root, path), mode)
  }

export const directory =
  (path: string, mode = 0o755): Step =>
  root => {
    mkdirSync(join(root, path), { recursive: true })
    chmodSync(join(root, path), mode)
  }

/** Removes a file or a whole tree. */
export const remove =
  (path: string): Step =>
  root =>
    rmSync(join(root, path), { recursive: true })

export const owner =
  (path: string, uid: number, gid: number): Step =>
  root =>
    chownSync(join(root, path), uid, gid)

export const hardLink =
  (from: string, to: string): Step =>
  root =>
    linkSync(join(root, from), join(root, to))

export const rename =
  (from: string, to: string): Step =>
  root =>
    renameSync(join(root, from), join(root, to))

export function applySteps(root: string, steps: readonly Step[]): void {
  for (const step of steps) step(root)
}
