import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { test } from 'node:test'
import { createGzip, createZstdCompress, gzipSync } from 'node:zlib'
import { pack } from 'tar-stream'
import { DirectorySource } from './directory-source.ts'
import { excluding, parseIgnore } from './ignore.ts'
import { ignoring } from './ignoring.ts'
import { componentMatcher, isPattern } from './pattern.ts'
import { descend, resolvePath, type SourceTree } from './source-tree.ts'
import type { TarLimits } from './spool.ts'
import { TarSource } from './tar-source.ts'

test('links are followed inside the root and never out of it', async () => {
  const root = await mkdtemp(join(tmpdir(), 'root-path-'))
  await using _ = { [Symbol.asyncDispose]: () => rm(root, { recursive: true }) }
  await mkdir(join(root, 'run/app'), { recursive: true })
  await mkdir(join(root, 'var'))
  await symlink('/run', join(root, 'var/run'))
  await symlink('../../../../etc', join(root, 'run/up'))
  await symlink('b', join(root, 'a'))
  await symlink('a', join(root, 'b'))
  await writeFile(join(root, 'run/file'), '')
  const tree = new DirectorySource(root)
  for (const [path, expected] of [
    ['/var/run/app/x', '/run/app/x'],
    ['var/run/file', '/run/file'],
    ['/run/up/passwd', '/etc/passwd'],
    ['../../x', '/x'],
    ['/run/../run/./none/../app', '/run/app'],
    ['/', '/'],
  ] as const)
    assert.equal(await resolvePath(tree, path), expected, path)
  assert.equal(await resolvePath(tree, '/var/run', { followLast: false }), '/var/run')
  await assert.rejects(resolvePath(tree, '/a/x'), { code: 'INVALID_ARGUMENT', message: /too many levels/ })
})

test('patterns match as Go does', () => {
  const matches = (pattern: string, name: string) => componentMatcher(pattern)(name)
  for (const [pattern, name, expected] of [
    ['*.go', 'a.go', true],
    ['*.go', '.go', true],
    ['a?c', 'abc', true],
    ['a?c', 'ac', false],
    ['[a-c]x', 'bx', true],
    ['[^a-c]x', 'bx', false],
    ['[]a]x', ']x', true],
    ['a\\*', 'a*', true],
    ['a\\*', 'ab', false],
    ['a.b', 'axb', false],
    ['[[]x', '[x', true],
  ] as const)
    assert.equal(matches(pattern, name), expected, `${pattern} ${name}`)
  assert.throws(() => componentMatcher('[a'), { code: 'INVALID_ARGUMENT' })
  assert.throws(() => componentMatcher('a\\'), { code: 'INVALID_ARGUMENT' })
  assert.ok(isPattern('a*') && !isPattern('a.b/c'))
})

test('.dockerignore: the last match decides', () => {
  const ignores = parseIgnore('# all logs\n*.log\n!keep.log\n/dist\n**/node_modules\nsub/*.tmp\n')
  for (const [path, expected] of [
    ['a.log', true],
    ['keep.log', false],
    ['dist', true],
    ['dist/x', true],
    ['a/dist', false],
    ['a/b/node_modules', true],
    ['node_modules/x', true],
    ['sub/a.tmp', true],
    ['sub/x/a.tmp', false],
    ['src/a.log', false],
  ] as const)
    assert.equal(ignores(path), expected, path)
  assert.ok(excluding(['*.o'])('a.o'))
  assert.ok(!excluding([])('a.o'))
})

async function listing(tree: SourceTree): Promise<string[]> {
  const lines: string[] = []
  for await (const entry of descend(tree, '/'))
    lines.push(`${entry.path} ${entry.type} ${entry.mode.toString(8)} ${(await tree.digest(entry)).slice(0, 8)}`)
  return lines
}

async function received(
  archive: AsyncIterable<Uint8Array>,
  use: (tree: TarSource) => Promise<void>,
  limits?: TarLimits,
) {
  const folder = await mkdtemp(join(tmpdir(), 'tar-source-'))
  await using _ = { [Symbol.asyncDispose]: () => rm(folder, { recursive: true }) }
  await use(await TarSource.receive(archive, join(folder, 'contents'), limits && { limits }))
}

function archive(): Readable {
  const tar = pack()
  tar.entry({ name: 'src/a.txt', mode: 0o600, uid: 7 }, 'hello')
  tar.entry({ name: './src/link', type: 'symlink', linkname: '../../etc' })
  tar.entry({ name: 'src/again', type: 'link', linkname: 'src/a.txt' })
  tar.entry({ name: 'empty', type: 'directory', mode: 0o700 })
  tar.entry({ name: 'big' }, Buffer.alloc(300_000, 'x'))
  tar.finalize()
  return Readable.from(tar)
}

test('a context: its tree, contents and digests, whatever the compression', async () => {
  for (const compress of [undefined, createGzip, createZstdCompress]) {
    await received(compress ? archive().pipe(compress()) : archive(), async tree => {
      assert.deepEqual(await listing(tree), [
        `/big file 644 ${bigDigest}`,
        '/empty directory 700 ',
        '/src directory 755 ',
        '/src/a.txt file 600 2cf24dba',
        '/src/again file 600 2cf24dba',
        '/src/link symlink 644 ',
      ])
      const file = await tree.at('/src/a.txt')
      assert.ok(file)
      assert.equal(file.uid, 0)
      assert.equal(Buffer.concat(await tree.read(file).toArray()).toString(), 'hello')
      assert.deepEqual(
        (await listing(await ignoring(tree, parseIgnore('src\n!src/a.txt\nbig')))).map(line => line.split(' ')[0]),
        ['/empty', '/src', '/src/a.txt'],
      )
    })
  }
})

const bigDigest = createHash('sha256').update(Buffer.alloc(300_000, 'x')).digest('hex').slice(0, 8)

test('a context that is none, cut short or too big is refused', async () => {
  const none = async () => {}
  await assert.rejects(received(Readable.from([Buffer.alloc(2048, 'x')]), none), { code: 'INVALID_ARGUMENT' })
  const whole = Buffer.concat(await archive().toArray())
  await assert.rejects(received(Readable.from([whole.subarray(0, 200_000)]), none), { code: 'INVALID_ARGUMENT' })
  await assert.rejects(received(Readable.from([gzipSync(whole).subarray(0, 300)]), none), { code: 'INVALID_ARGUMENT' })
  await assert.rejects(received(archive(), none, { maxEntries: 3, maxBytes: 1e9 }), { code: 'RESOURCE_EXHAUSTED' })
  await assert.rejects(received(archive(), none, { maxEntries: 30, maxBytes: 1000 }), { code: 'RESOURCE_EXHAUSTED' })
})
