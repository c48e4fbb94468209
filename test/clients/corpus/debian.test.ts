/**
 * Dockerfiles as people write them, on Debian: the classic builder of dockerd 20.10 and ours make the same file tree, configuration and
 * history, and what comes out runs.
 */
import assert from 'node:assert/strict'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { makeImage } from '../../fixtures/make-image.ts'
import { Pair, pairLacks } from '../differential/pair.ts'
import { buildRecipe, contextOf, docker } from './build-recipe.ts'
import { debianBase, debianLacks, MirrorOutOfReach } from './debian-base.ts'
import { debianRecipes } from './debian-recipes.ts'
import { type ImageTree, readImages } from './image-tree.ts'

const skip = pairLacks || debianLacks
/** Why there is no base to build on. */
let outOfReach: string | undefined
const names = debianRecipes.map(({ name }) => name)
let pair: Pair
/** By name; all of a side are read from one archive, which has their base once. */
let theirs: ReadonlyMap<string, ImageTree>
let ours: ReadonlyMap<string, ImageTree>

before(async () => {
  if (skip) return
  const base = await debianBase().catch(error => {
    if (!(error instanceof MirrorOutOfReach)) throw error
    outOfReach = error.message
  })
  if (base === undefined) return
  pair = await Pair.start()
  const node = await nodeArchive()
  for (const recipe of debianRecipes) await contextOf(pair, recipe)
  const built = async (socket: string) => {
    await docker(pair, socket, 'import', base, 'debian:1')
    await docker(pair, socket, 'import', node, 'node:1')
    for (const recipe of debianRecipes) await buildRecipe(pair, socket, recipe)
    return readImages(await docker(pair, socket, 'save', ...names))
  }
  theirs = await built(pair.dockerd.socket)
  ours = await built(pair.docker.socket)
})
after(() => pair?.[Symbol.asyncDispose]())

/** The Node that runs this, alone in a root. */
async function nodeArchive(): Promise<string> {
  const content = await readFile(process.execPath)
  const entries = [{ path: 'usr/local/bin/node', content, mode: 0o755 }]
  const [layer] = makeImage({ layers: [entries], compression: 'none' }).layers
  assert.ok(layer)
  const path = join(pair.docker.folder, 'node.tar')
  await writeFile(path, layer.bytes)
  return path
}

for (const { name, command = [], prints } of debianRecipes)
  test(`${name}: the same as the classic builder's, and it runs`, { skip }, async t => {
    if (outOfReach !== undefined) return t.skip(outOfReach)
    const [one, other] = [theirs.get(name), ours.get(name)]
    assert.ok(one && other)
    assert.deepEqual(other.config, one.config)
    assert.deepEqual(other.history, one.history)
    const listed = ({ files }: ImageTree) => [...files].map(([path, what]) => `${path} ${what}`).toSorted()
    assert.deepEqual(listed(other), listed(one))
    assert.ok(other.files.size > 3)
    const printed = await docker(pair, pair.docker.socket, 'run', '--rm', '--network', 'none', name, ...command)
    assert.match(printed.toString(), prints)
  })
