/**
 * Dockerfiles of each feature, built with the unmodified docker command: the classic builder of Debian's dockerd 20.10 and
 * ours make the same file tree, configuration and history of those both can read.
 */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { Pair, pairLacks } from '../differential/pair.ts'
import { buildRecipe, contextOf, docker } from './build-recipe.ts'
import { classicRecipes } from './classic-recipes.ts'
import { type ImageTree, readImages } from './image-tree.ts'
import { newerRecipes } from './newer-recipes.ts'
import type { Recipe } from './recipe.ts'

const only = process.env.GANTRY_CORPUS ?? ''
const wanted = ({ name }: Recipe) => name.startsWith(only)
let pair: Pair

before(async () => {
  if (!pairLacks) pair = await Pair.start()
})
after(() => pair?.[Symbol.asyncDispose]())

async function built(socket: string, recipe: Recipe): Promise<ImageTree> {
  await buildRecipe(pair, socket, recipe)
  const image = (await readImages(await docker(pair, socket, 'save', recipe.name))).get(recipe.name)
  assert.ok(image)
  return image
}

for (const recipe of classicRecipes.filter(wanted))
  test(`${recipe.name}: the same as the classic builder's`, { skip: pairLacks }, async () => {
    await contextOf(pair, recipe)
    const [theirs, ours] = await Promise.all([built(pair.dockerd.socket, recipe), built(pair.docker.socket, recipe)])
    assert.deepEqual(ours.config, theirs.config)
    assert.deepEqual(ours.history, theirs.history)
    assert.deepEqual(listed(ours), listed(theirs))
  })

for (const recipe of newerRecipes.filter(wanted))
  test(`${recipe.name}: what it should hold`, { skip: pairLacks }, async () => {
    await contextOf(pair, recipe)
    const { contents } = await built(pair.docker.socket, recipe)
    for (const [path, content] of Object.entries(recipe.expects ?? {}))
      assert.equal(contents.get(path)?.toString(), content, path)
  })

function listed({ files }: ImageTree): string[] {
  return [...files].map(([path, what]) => `${path} ${what}`).toSorted()
}
