/** Rules for differs: what a layer becomes, and what it never does. */
import assert from 'node:assert/strict'
import { existsSync, lstatSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { isGantryError } from '#api/errors/errors.ts'
import { describeTree } from '../../suite/tree-compare.ts'
import { type DiffApi, DifferBench, type DifferSubject } from './differ-bench.ts'
import type { Entry } from './layer-archive.ts'

export type DifferChecks = Readonly<Record<string, (subject: DifferSubject) => Promise<void>>>

const plain: readonly Entry[] = [
  { name: 'etc/', type: 'directory', mode: 0o750, uid: 7, gid: 8 },
  { name: 'etc/motd', mode: 0o640, uid: 7, gid: 9, content: 'hello\n' },
  // As tar(1) writes them: a link repeats what its file says.
  { name: 'etc/same', type: 'link', linkname: 'etc/motd', mode: 0o640, uid: 7, gid: 9 },
  { name: 'etc/link', type: 'symlink', linkname: '../nowhere' },
  { name: 'bin/', type: 'directory', mode: 0o755 },
  { name: 'bin/su', mode: 0o4755, content: 'root' },
  { name: 'dev/', type: 'directory', mode: 0o755 },
  { name: 'dev/null', type: 'character-device', devmajor: 1, devminor: 3, mode: 0o666 },
]

async function refused(call: Promise<unknown>, what: string, code?: string): Promise<void> {
  await assert.rejects(call, (error: unknown) => {
    assert.ok(isGantryError(error), `${what}: ${String(error)}`)
    if (code !== undefined) assert.equal(error.code, code, `${what}: ${error.message}`)
    return true
  })
}

/** A bench for each check. */
function checks(all: Record<string, (bench: DifferBench) => Promise<void>>): DifferChecks {
  const withBench = (check: (bench: DifferBench) => Promise<void>) => async (subject: DifferSubject) => {
    await using bench = new DifferBench(subject)
    await check(bench)
  }
  return Object.fromEntries(Object.entries(all).map(([text, check]) => [text, withBench(check)]))
}

export const differChecks: DifferChecks = checks({
  'a layer is unpacked as it was packed': async bench => {
    const tree = bench.directory('tree')
    await bench.apply(await bench.layer(plain), bench.bind(tree))
    const { '.': _root, ...found } = describeTree(tree)
    assert.deepEqual(found, {
      bin: '40755 0:0 directory',
      'bin/su': '104755 0:0 file "root"',
      dev: '40755 0:0 directory',
      'dev/null': '20666 0:0 device 259',
      etc: '40750 7:8 directory',
      'etc/link': '120777 0:0 link ../nowhere',
      'etc/motd': '100640 7:9 file "hello\\n"',
      'etc/same': '100640 7:9 file "hello\\n"',
    })
    assert.equal(lstatSync(join(tree, 'etc/same')).ino, lstatSync(join(tree, 'etc/motd')).ino, 'one file, two names')
    assert.equal(lstatSync(join(tree, 'etc/motd')).mtimeMs, 0, 'its time')
  },

  'the answer is the layer uncompressed': async bench => {
    const layer = await bench.layer(plain)
    const applied = await bench.apply(layer, bench.bind(bench.directory('tree')))
    assert.deepEqual([applied?.digest, applied?.size], [layer.diffID, BigInt(layer.tarBytes)])
    assert.match(applied?.mediaType ?? '', /tar$/)
  },

  'whiteouts remove what is below, in a plain tree': async bench => {
    const tree = bench.directory('tree')
    fillLower(tree)
    await bench.apply(await bench.layer(whiteouts), bench.bind(tree))
    assert.deepEqual(paths(tree), ['.', 'dir', 'dir/new', 'stays'])
  },

  'whiteouts hide what is below, in an overlay': async bench => {
    const lower = bench.directory('lower')
    fillLower(lower)
    const mounts = bench.overlay(lower, 'top')
    await bench.apply(await bench.layer(whiteouts), mounts)
    assert.deepEqual(await bench.mounted(mounts, paths), ['.', 'dir', 'dir/new', 'stays'])
    assert.deepEqual(paths(lower), ['.', 'dir', 'dir/old', 'gone', 'stays'], 'nothing below is touched')
  },

  'a file takes the place of a directory, and the other way round': async bench => {
    const tree = bench.directory('tree')
    mkdirSync(join(tree, 'was-directory/in-it'), { recursive: true })
    writeFileSync(join(tree, 'was-file'), '')
    const swapped: Entry[] = [
      { name: 'was-directory', content: 'file' },
      { name: 'was-file/', type: 'directory' },
    ]
    await bench.apply(await bench.layer(swapped), bench.bind(tree))
    assert.equal(readFileSync(join(tree, 'was-directory'), 'utf8'), 'file')
    assert.ok(lstatSync(join(tree, 'was-file')).isDirectory())
  },

  'a blob that is not there is NOT_FOUND': async bench => {
    const { descriptor } = await bench.layer(plain)
    const nothing = { descriptor: { ...descriptor, digest: `sha256:${'1'.repeat(64)}` } }
    await refused(bench.apply(nothing, bench.bind(bench.directory('tree'))), 'Apply', 'NOT_FOUND')
  },

  'a media type that it does not read is refused, and nothing written': async bench => {
    const { descriptor } = await bench.layer(plain)
    const strange = { descriptor: { ...descriptor, mediaType: 'application/vnd.example.nothing' } }
    const tree = bench.directory('tree')
    await refused(bench.apply(strange, bench.bind(tree)), 'Apply')
    assert.deepEqual(readdirSync(tree), [])
  },

  'a damaged layer is refused': async bench => {
    const half = (blob: Buffer) => blob.subarray(0, Math.floor(blob.length / 2))
    const layer = await bench.layer([...plain, { name: 'much', content: 'x'.repeat(100_000) }], half)
    await refused(bench.apply(layer, bench.bind(bench.directory('tree'))), 'Apply')
    assert.deepEqual(bench.mountsLeft(), [])
  },

  'a layer reaches nothing outside its tree': async bench => {
    const [tree, outside] = [bench.directory('tree'), bench.directory('outside')]
    const reaching: Entry[][] = [
      [{ name: '../outside/by-dots', content: 'x' }],
      [
        { name: 'link', type: 'symlink', linkname: outside },
        { name: 'link/by-link', content: 'x' },
      ],
      [{ name: `${outside}/by-root`, content: 'x' }],
      [
        { name: 'hard', type: 'link', linkname: '../outside/kept' },
        { name: 'hard', content: 'overwritten' },
      ],
    ]
    writeFileSync(join(outside, 'kept'), 'kept')
    for (const entries of reaching) await bench.apply(await bench.layer(entries), bench.bind(tree)).catch(() => {})
    assert.deepEqual(readdirSync(outside), ['kept'])
    assert.equal(readFileSync(join(outside, 'kept'), 'utf8'), 'kept')
  },

  'nothing stays mounted': async bench => {
    const layer = await bench.layer(plain)
    await bench.apply(layer, bench.overlay(bench.directory('lower'), 'top'))
    assert.deepEqual(bench.mountsLeft(), [])
  },

  'layers are unpacked at the same time': async bench => {
    const layers = await Promise.all(
      [1, 2, 3, 4].map(number => bench.layer([{ name: `file-${number}`, content: `${number}` }])),
    )
    const trees = layers.map((_, index) => bench.directory(`tree-${index}`))
    await Promise.all(layers.map((layer, index) => bench.apply(layer, bench.bind(trees[index] ?? ''))))
    assert.deepEqual(
      trees.map(tree => readdirSync(tree)),
      [['file-1'], ['file-2'], ['file-3'], ['file-4']],
    )
  },

  'what Diff packs, where it is there, is the change': async bench => {
    const [left, right] = [bench.directory('left'), bench.directory('right')]
    fillLower(left)
    for (const name of ['stays', 'came']) writeFileSync(join(right, name), name)
    mkdirSync(join(right, 'dir'))
    const made = await packed(bench.subject.api, bench, left, right)
    if (made === undefined) return
    const blob = await bench.blob(made.digest)
    assert.equal(BigInt(blob?.length ?? 0), made.size, 'the blob is in the core')
    const { info } = await bench.content.content.info({ digest: made.digest })
    assert.match(info?.labels['containerd.io/uncompressed'] ?? '', /^sha256:/)
    await bench.apply({ descriptor: made }, bench.bind(left))
    assert.deepEqual(paths(left), paths(right))
  },
})

/** Undefined: it only reads. */
async function packed(api: DiffApi, bench: DifferBench, left: string, right: string) {
  try {
    const { mediaType } = bench.subject
    const ref = `check-diff-${process.pid}`
    return (await api.diff({ left: bench.bind(left), right: bench.bind(right), mediaType, ref })).diff
  } catch (error) {
    if (isGantryError(error, 'NOT_IMPLEMENTED')) return undefined
    throw error
  }
}

const whiteouts: readonly Entry[] = [
  { name: '.wh.gone' },
  { name: 'dir/', type: 'directory', mode: 0o755 },
  { name: 'dir/.wh..wh..opq' },
  { name: 'dir/new', content: 'new' },
]

function fillLower(path: string): void {
  mkdirSync(join(path, 'dir'))
  for (const name of ['gone', 'stays', 'dir/old']) writeFileSync(join(path, name), name)
}

function paths(root: string): string[] {
  return existsSync(root) ? Object.keys(describeTree(root)).sort() : []
}
