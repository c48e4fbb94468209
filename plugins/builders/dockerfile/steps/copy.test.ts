import assert from 'node:assert/strict'
import { chmod, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { Readable } from 'node:stream'
import { after, before, test } from 'node:test'
import { extract } from 'tar-stream'
import { DirectorySource } from '../files/directory-source.ts'
import { excluding } from '../files/ignore.ts'
import { entryDigests, layerArchive, totalDigest } from './copy-archive.ts'
import { type CopyOptions, type CopyRequest, copyEntries } from './copy-entries.ts'
import { readMode } from './file-mode.ts'

let folder: string
let context: DirectorySource
let image: DirectorySource

async function tree(name: string, files: Record<string, string>): Promise<DirectorySource> {
  const root = join(folder, name)
  for (const [path, content] of Object.entries(files)) {
    await mkdir(dirname(join(root, path)), { recursive: true })
    if (content.startsWith('-> ')) await symlink(content.slice(3), join(root, path))
    else await writeFile(join(root, path), content)
  }
  return new DirectorySource(root)
}

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'copy-'))
  context = await tree('context', {
    'a.txt': 'a',
    'b.txt': 'b',
    'dir/x': 'x',
    'dir/sub/y.o': 'y',
    'dir/up': '-> ../../../etc/passwd',
    link: '-> dir/x',
    'linked-dir': '-> dir',
    'odd[1]': 'odd',
  })
  image = await tree('image', { 'etc/passwd': 'root', 'run/keep': '', 'var/run': '-> /run', 'app/old': '' })
})
after(() => rm(folder, { recursive: true }))

const defaults: CopyOptions = {
  workingDir: '/',
  owner: { uid: 0, gid: 0 },
  chmod: undefined,
  parents: false,
  exclude: () => false,
  confined: true,
}

async function entries(sources: string | string[], destination: string, options: Partial<CopyOptions> = {}) {
  const request: CopyRequest = { keyword: 'COPY', sources: [sources].flat(), destination }
  return (await copyEntries(context, image, request, { ...defaults, ...options })).entries
}

async function paths(...args: Parameters<typeof entries>): Promise<string[]> {
  return (await entries(...args)).map(({ path, entry }) => path + (entry.type === 'directory' ? '/' : ''))
}

test('a file: to a name, into a directory, into one that is to be', async () => {
  assert.deepEqual(await paths('a.txt', '/new'), ['/new'])
  assert.deepEqual(await paths('a.txt', '/app'), ['/app/a.txt'])
  assert.deepEqual(await paths('a.txt', '/n/m/'), ['/n/', '/n/m/', '/n/m/a.txt'])
  assert.deepEqual(await paths('a.txt', 'x', { workingDir: '/w' }), ['/w/', '/w/x'])
  assert.deepEqual(await paths('./a.txt', '.', { workingDir: '/app' }), ['/app/a.txt'])
})

test('a directory: what is in it, links as links', async () => {
  // A directory that is there stays as it is.
  const expected = ['/app/sub/', '/app/sub/y.o', '/app/up', '/app/x']
  assert.deepEqual(await paths('dir', '/app'), expected)
  assert.deepEqual(await paths('linked-dir/', '/app/'), expected)
  assert.deepEqual(await paths('dir', '/app', { exclude: excluding(['**/*.o']) }), ['/app/sub/', '/app/up', '/app/x'])
})

test('links: a source is followed inside the context, a destination inside the image', async () => {
  const [copied] = await entries('link', '/var/run/l')
  assert.deepEqual([copied?.path, copied?.entry.type], ['/run/l', 'file'])
  assert.deepEqual(await paths('dir/up', '/x').catch(error => error.code), 'NOT_FOUND')
})

test('patterns, several sources, names that are no pattern', async () => {
  assert.deepEqual(await paths(['*.txt'], '/app/'), ['/app/a.txt', '/app/b.txt'])
  assert.deepEqual(await paths(['*/x'], '/app/'), ['/app/x'])
  assert.deepEqual(await paths('odd[[]1]', '/o'), ['/o'])
  await assert.rejects(entries(['a.txt', 'b.txt'], '/one'), {
    code: 'INVALID_ARGUMENT',
    message: /must be a directory and end with a \//,
  })
})

test('what is not there or outside is refused by name', async () => {
  await assert.rejects(entries('none', '/x'), { code: 'NOT_FOUND', message: /"none": file not found in build context/ })
  await assert.rejects(entries('*.none', '/x'), { code: 'NOT_FOUND' })
  await assert.rejects(entries('../secret', '/x'), {
    code: 'INVALID_ARGUMENT',
    message: /forbidden path outside the build context: ..\/secret/,
  })
  await assert.rejects(entries('dir/../../x', '/x'), { code: 'INVALID_ARGUMENT' })
})

test('--parents, --chown, --chmod', async () => {
  assert.deepEqual(await paths('dir/sub/y.o', '/p/', { parents: true }), [
    '/p/',
    '/p/dir/',
    '/p/dir/sub/',
    '/p/dir/sub/y.o',
  ])
  const [copied] = await entries('a.txt', '/x', { owner: { uid: 5, gid: 6 }, chmod: readMode('4750') })
  assert.deepEqual([copied?.entry.uid, copied?.entry.gid, copied?.entry.mode], [5, 6, 0o4750])
})

test('the archive holds what was chosen; the digest ignores times and sees everything else', async () => {
  const chosen = await entries(['a.txt', 'dir'], '/app/')
  const archive = Readable.from(layerArchive(chosen, new Date(1000_000)))
  const seen: string[] = []
  for await (const entry of archive.pipe(extract())) {
    const { name, type, linkname, mtime } = entry.header
    seen.push(`${name} ${type} ${linkname ?? ''}`.trim())
    if (name === 'app/x') assert.equal(mtime?.getTime(), 1000_000)
    for await (const _ of entry);
  }
  assert.deepEqual(seen, [
    'app/a.txt file',
    'app/sub/ directory',
    'app/sub/y.o file',
    'app/up symlink ../../../etc/passwd',
    'app/x file',
  ])
  const digest = async () => totalDigest(await entryDigests(await entries('a.txt', '/x')))
  const first = await digest()
  await writeFile(join(folder, 'context/a.txt'), 'a')
  assert.equal(await digest(), first)
  await chmod(join(folder, 'context/a.txt'), 0o755)
  assert.notEqual(await digest(), first)
})
