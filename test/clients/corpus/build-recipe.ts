/** A recipe's context on disk, and its image built by the unmodified docker command. */
import { execFile } from 'node:child_process'
import { cp, mkdir, symlink, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import type { Pair } from '../differential/pair.ts'
import { dockerCommand } from '../docker.ts'
import type { Recipe } from './recipe.ts'

const run = promisify(execFile)
const mostBytes = 1024 * 1024 * 1024

/** The folder is the pair's, and goes with it. */
export async function contextOf(pair: Pair, { name, files = {}, folders = {}, dockerfile }: Recipe): Promise<string> {
  const folder = contextFolder(pair, name)
  await mkdir(folder, { recursive: true })
  for (const [path, content] of Object.entries({ ...files, Dockerfile: `${dockerfile.join('\n')}\n` })) {
    await mkdir(dirname(join(folder, path)), { recursive: true })
    if (path.endsWith('/')) await mkdir(join(folder, path))
    else if (content.startsWith('-> ')) await symlink(content.slice(3), join(folder, path))
    else await writeFile(join(folder, path), content)
  }
  for (const [path, source] of Object.entries(folders)) await cp(source, join(folder, path), { recursive: true })
  return folder
}

export async function buildRecipe(pair: Pair, socket: string, { name, flags = [] }: Recipe): Promise<void> {
  await docker(pair, socket, 'build', '--tag', name, ...flags, contextFolder(pair, name))
}

/** Its standard output; throws for an exit code that is not 0. */
export async function docker(pair: Pair, socket: string, ...args: string[]): Promise<Buffer> {
  const { stdout } = await run(dockerCommand ?? 'docker', ['--host', `unix://${socket}`, ...args], {
    env: { ...process.env, DOCKER_BUILDKIT: '0', DOCKER_CONFIG: join(pair.docker.folder, 'client') },
    encoding: 'buffer',
    maxBuffer: mostBytes,
  })
  return stdout
}

function contextFolder(pair: Pair, name: string): string {
  return join(pair.docker.folder, 'corpus', name)
}
