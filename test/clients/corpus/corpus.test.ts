/**
 * Dockerfiles of each feature, built with the unmodified docker command: the classic builder of Debian's dockerd 20.10 and
 * ours make the same file tree, configuration and history of those both can read.
 */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdir, symlink, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { after, before, test } from 'node:test'
import { promisify } from 'node:util'
import { Pair, pairLacks } from '../differential/pair.ts'
import { dockerCommand } from '../docker.ts'
import { classicRecipes } from './classic-recipes.ts'
import { type ImageTree, readImage } from './image-tree.ts'
import { newerRecipes } from './newer-recipes.ts'
import type { Recipe } from './recipe.ts'

const run = promisify(execFile)
const only = process.env.GANTRY_CORPUS ?? ''
const wanted = ({ name }: Recipe) => name.startsWith(only)
let pair: Pair

before(async () => {
  if (!pairLacks) pair = await Pair.start()
})
after(() => pair?.[Symbol.asyncDispose]())

async function contextOf({ name, files = {}, dockerfile }: Recipe): Promise<string> {
  const folder = join(pair.docker.folder, 'corpus', name)
  await mkdir(folder, { recursive: true })
  for (const [path, content] of Object.entries({ ...files, Dockerfile: `${dockerfile.join('\n')}\n` })) {
    await mkdir(dirname(join(folder, path)), { recursive: true })
    if (path.endsWith('/')) await mkdir(join(folder, path))
    else if (content.startsWith('-> ')) await symlink(content.slice(3), join(folder, path))
    else await writeFile(join(folder, path), content)
  }
  return folder
}

async function built(socket: string, recipe: Recipe): Promise<ImageTree> {
  const { name, flags = [] } = recipe
  const docker = async (...args: string[]) =>
    await run(dockerCommand ?? 'docker', ['--host', `unix://${socket}`, ...args], {
      env: { ...process.env, DOCKER_BUILDKIT: '0', DOCKER_CONFIG: join(pair.docker.folder, 'client') },
      encoding: 'buffer',
      maxBuffer: 64 * 1024 * 1024,
    })
  await docker('build', '--tag', name, ...flags, join(pair.docker.folder, 'corpus', name))
  return readImage((await docker('save', name)).stdout)
}

for (const recipe of classicRecipes.filter(wanted))
  test(`${recipe.name}: the same as the classic builder's`, { skip: pairLacks }, async () => {
    await contextOf(recipe)
    const [theirs, ours] = await Promise.all([built(pair.dockerd.socket, recipe), built(pair.docker.socket, recipe)])
    assert.deepEqual(ours.config, theirs.config)
    assert.deepEqual(ours.history, theirs.history)
    assert.deepEqual(listed(ours), listed(theirs))
  })

for (const recipe of newerRecipes.filter(wanted))
  test(`${recipe.name}: what it should hold`, { skip: pairLacks }, async () => {
    await contextOf(recipe)
    const { contents } = await built(pair.docker.socket, recipe)
    for (const [path, content] of Object.entries(recipe.expects ?? {}))
      assert.equal(contents.get(path)?.toString(), content, path)
  })

function listed({ files }: ImageTree): string[] {
  return [...files].map(([path, what]) => `${path} ${what}`).toSorted()
}
