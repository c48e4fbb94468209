import assert from 'node:assert/strict'
import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { openStore } from './store.ts'

async function inFolder(body: (folder: string) => Promise<void>) {
  const folder = await mkdtemp(join(tmpdir(), 'gantry-store-'))
  try {
    await body(folder)
  } finally {
    await rm(folder, { recursive: true })
  }
}

test('values keep their types', () =>
  inFolder(async folder => {
    const store = openStore(folder)
    const value = { text: 'ä', big: 2n ** 60n, bytes: Buffer.from([0, 255]), list: [1, undefined, null], at: { s: 5n } }
    store.write(tx => tx.put(['a'], value))
    const read = store.read(tx => tx.get<typeof value>(['a']))
    assert.equal(read?.big, value.big)
    assert.ok(Buffer.isBuffer(read?.bytes) && read.bytes.equals(value.bytes))
    assert.equal(read?.text, 'ä')
    assert.equal(read?.at.s, 5n)
    await store.close()
  }))

test('a write that throws leaves nothing, and passes its error on', () =>
  inFolder(async folder => {
    const store = openStore(folder)
    store.write(tx => tx.put(['kept'], 1))
    assert.throws(
      () =>
        store.write(tx => {
          tx.put(['lost'], 1)
          tx.delete(['kept'])
          throw new Error('undo')
        }),
      /undo/,
    )
    assert.deepEqual(
      store.read(tx => [tx.get(['kept']), tx.get(['lost'])]),
      [1, undefined],
    )
    await store.close()
  }))

test('list keeps to its prefix and to the order of keys', () =>
  inFolder(async folder => {
    const store = openStore(folder)
    store.write(tx => {
      for (const key of [
        ['i', 'b', '1'],
        ['i', 'a', '2'],
        ['i', 'a', '10'],
        ['i', 'a'],
        ['i', 'ab', 'x'],
        ['j', 'a', 'z'],
        ['i', 'a', 7],
      ])
        tx.put(key, key.join('/'))
    })
    const keys = (options = {}) => store.read(tx => [...tx.list(['i', 'a'], options)].map(({ key }) => key.at(-1)))
    assert.deepEqual(keys(), [7, '10', '2'])
    assert.deepEqual(keys({ limit: 1 }), [7])
    assert.deepEqual(keys({ start: ['i', 'a', '10'] }), ['10', '2'])
    await store.close()
  }))

test('a transaction sees its own writes, and deletes while it lists', () =>
  inFolder(async folder => {
    const store = openStore(folder)
    store.write(tx => {
      for (let i = 0; i < 300; i++) tx.put(['x', i], i)
      for (const { key } of tx.list(['x'])) assert.ok(tx.delete(key))
      assert.equal([...tx.list(['x'])].length, 0)
      assert.equal(tx.delete(['x', 1]), false)
    })
    await store.close()
  }))

test('what was written is there after SIGKILL in the middle of writing', () =>
  inFolder(async folder => {
    const script = `import { openStore } from ${JSON.stringify(join(import.meta.dirname, 'store.ts'))}
      const store = openStore(${JSON.stringify(folder)})
      for (let i = 0; ; i++) { store.write(tx => { tx.put(['n', i], i); tx.put(['m', i], i) }); process.stdout.write(i + '\\n') }`
    const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    let told = ''
    child.stdout.on('data', data => {
      told += data
      if (told.length > 400) child.kill('SIGKILL')
    })
    await once(child, 'close')
    const last = Number(told.slice(0, told.lastIndexOf('\n')).split('\n').at(-1))
    const store = openStore(folder)
    const [n, m] = store.read(tx => [[...tx.list(['n'])].length, [...tx.list(['m'])].length])
    assert.ok(last > 0 && n > last, `${n} entries are kept, ${last} was told`)
    assert.equal(n, m)
    await store.close()
  }))

test(
  'a full disk is RESOURCE_EXHAUSTED, and what was written before stays',
  { skip: process.getuid?.() !== 0 && 'mounting needs root' },
  () =>
    inFolder(async folder => {
      execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=256k', 'tmpfs', folder])
      try {
        const store = openStore(folder)
        const fill = () => {
          for (let i = 0; i < 1000; i++) store.write(tx => tx.put(['n', i], Buffer.alloc(3000, i)))
        }
        assert.throws(fill, { code: 'RESOURCE_EXHAUSTED' })
        assert.ok(store.read(tx => tx.get(['n', 0])))
        await store.close()
      } finally {
        execFileSync('umount', ['--lazy', folder])
      }
    }),
)

test('a key nobody can store is not there, and is refused', () =>
  inFolder(async folder => {
    const store = openStore(folder)
    const key = ['in', 'x'.repeat(5000)]
    assert.equal(
      store.read(tx => tx.get(key)),
      undefined,
    )
    assert.throws(() => store.write(tx => tx.put(key, 1)), { code: 'INVALID_ARGUMENT', message: /too long/ })
    const longest = ['in', 'x'.repeat(3990)]
    store.write(tx => tx.put(longest, 1))
    assert.equal(
      store.read(tx => tx.get(longest)),
      1,
    )
    await store.close()
  }))
