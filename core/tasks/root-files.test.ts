import assert from 'node:assert/strict'
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { after, test } from 'node:test'
import { mknod, setXattr } from '#api/sys/sys.ts'
import { readAccountFiles } from './root-files.ts'

const isRoot = process.getuid?.() === 0
const dir = await mkdtemp(join(tmpdir(), 'gantry-root-files-'))
after(() => rm(dir, { recursive: true, force: true }))

type Tree = Record<string, string | { link: string } | 'whiteout' | 'opaque'>
let count = 0

async function layer(tree: Tree): Promise<string> {
  const root = join(dir, `layer${count++}`)
  await mkdir(root)
  for (const [path, what] of Object.entries(tree)) {
    const at = join(root, path)
    await mkdir(dirname(at), { recursive: true })
    if (what === 'whiteout') await mknod(at, 0o020000, { major: 0, minor: 0 })
    else if (what === 'opaque') {
      await mkdir(at, { recursive: true })
      await setXattr(at, 'trusted.overlay.opaque', 'y')
    } else if (typeof what === 'string') await writeFile(at, what)
    else await symlink(what.link, at)
  }
  return root
}

/** `layers`: topmost first. */
async function passwd(...layers: Tree[]): Promise<string> {
  const [upper = '', ...lower] = await Promise.all(layers.map(layer))
  const options = [`upperdir=${upper}`, `lowerdir=${lower.join(':')}`, 'workdir=/nowhere']
  return (await readAccountFiles([{ type: 'overlay', source: 'overlay', target: '', options }])).passwd
}

test('the topmost file counts', async () => {
  assert.equal(await passwd({}, { 'etc/passwd': 'new' }, { 'etc/passwd': 'old' }), 'new')
  assert.equal(await passwd({ 'etc/group': 'g' }, {}, { 'etc/passwd': 'old' }), 'old')
  assert.equal(await passwd({}, {}), '')
})

test('whiteouts and opaque directories hide what is below', { skip: !isRoot }, async () => {
  assert.equal(await passwd({ 'etc/passwd': 'whiteout' }, { 'etc/passwd': 'old' }), '')
  assert.equal(await passwd({ etc: 'whiteout' }, { 'etc/passwd': 'old' }), '')
  assert.equal(await passwd({ etc: 'opaque' }, { 'etc/passwd': 'old' }), '')
})

test('links are resolved within the root, over layers', async () => {
  const secret = join(dir, 'secret')
  await writeFile(secret, 'host')
  assert.equal(await passwd({ 'etc/passwd': { link: secret } }, {}), '')
  assert.equal(
    await passwd({ 'etc/passwd': { link: '../../../../../../../../etc/passwd.real' } }, { 'etc/passwd.real': 'in' }),
    'in',
  )
  assert.equal(
    await passwd({ etc: { link: 'usr/etc' } }, { 'usr/etc/passwd': { link: '/usr/etc/p' }, 'usr/etc/p': 'usr' }),
    'usr',
  )
  assert.equal(await passwd({ etc: { link: dir } }, {}), '')
  assert.equal(await passwd({ 'etc/passwd': { link: 'passwd' } }, {}), '')
})

test('what is no regular file is not read', { skip: !isRoot }, async () => {
  const root = await layer({ 'etc/x': '' })
  await mknod(join(root, 'etc/passwd'), 0o010600)
  assert.equal((await readAccountFiles([{ type: 'bind', source: root, target: '', options: ['rbind'] }])).passwd, '')
})
