/** `ctr content`, what needs no registry. */
import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { sha256 } from '../../fixtures/make-image.ts'
import { testImage } from '../load-image.ts'
import type { PairVerb } from './pair.ts'
import type { Side } from './side.ts'

export async function contentVerbs(verb: PairVerb): Promise<void> {
  const { target } = testImage()
  const digest = sha256('hello\n')
  await verb('content ingest', async side => {
    await side.unseen('images', 'import', join(side.folder, 'busybox.tar'))
    await side.collect()
    await side.reads('hello\n', 'content', 'ingest', '--expected-size', '6', '--expected-digest', digest, 'ref-1')
    await side.ok('content', 'label', digest, 'containerd.io/gc.root=test')
    await side.reads('hello\n', 'content', 'ingest', 'ref-1')
    await side.ok('content', 'get', digest)
  })
  await verb('content ingest of another size, of another digest', async side => {
    const wrong = async (...flags: string[]) => {
      const { code, stderr } = await side.ctr.outcome(['content', 'ingest', ...flags, 'ref-2'], { stdin: 'other\n' })
      side.note(`${code} ${stderr}`)
      assert.equal(code, 1)
    }
    await wrong('--expected-size', '9')
    await wrong('--expected-digest', sha256('nothing'))
    await wrong('--expected-digest', 'no digest')
  })
  await verb('content active', async side => {
    assert.match(await side.ok('content', 'active'), /ref-2\s+6B/)
    await side.ok('content', 'active', 'ref~=ref-1')
    await side.fails('content', 'active', 'ref-1')
  })
  await verb('content ls, filters', async side => {
    await side.ok('content', 'ls', '-q', `digest==${target.digest}`)
    await side.ok('content', 'ls', `digest~=${digest.slice(7, 15)}`)
    await side.ok('content', 'ls', '-q', 'labels.none')
    await side.fails('content', 'ls', 'digest==')
  })
  await verb('content get', async side => {
    assert.equal(await side.ok('content', 'get', target.digest), `${target.bytes}`)
    await side.fails('content', 'get', sha256('nothing'))
    await side.fails('content', 'get', 'no digest')
  })
  await verb('content label', async side => {
    await side.ok('content', 'label', digest, 'k=v', 'l=w')
    await side.ok('content', 'ls', 'labels.k==v')
    await side.ok('content', 'label', digest, 'k=')
    await side.ok('content', 'ls', 'labels.k')
    await side.fails('content', 'label', sha256('nothing'), 'k=v')
    await side.fails('content', 'label', digest, `k=${'x'.repeat(4096)}`)
  })
  await verb('content edit', async side => {
    const editor = join(side.folder, 'editor')
    await writeFile(editor, '#!/bin/sh\necho changed >> "$1"\n', { mode: 0o755 })
    const edited = await side.ok('content', 'edit', '--editor', editor, digest)
    assert.equal(edited.trim(), sha256('hello\nchanged\n'))
    assert.equal(await side.ok('content', 'get', edited.trim()), 'hello\nchanged\n')
    await side.fails('content', 'edit', '--editor', editor, '--validate', 'json', digest)
  })
  await verb('content rm', async side => {
    await side.ok('content', 'rm', digest)
    await side.tells('content', 'rm', digest)
    await side.fails('content', 'get', digest)
  })
  await pruneVerbs(verb)
}

async function pruneVerbs(verb: PairVerb): Promise<void> {
  const blobs = async (side: Side) => (await side.ok('content', 'ls', '-q')).trim().split('\n').length
  await verb('content prune references --dry', async side => {
    const { code, stderr } = await side.ctr.outcome(['content', 'prune', 'references', '--dry'])
    assert.equal(code, 0)
    assert.match(stderr, /containerd\.io\/gc\.ref\.content/)
    assert.equal(await blobs(side), 4)
  })
  await verb('content prune references --async', async side => {
    await side.ok('content', 'prune', 'references', '--async')
    await side.collect()
    await blobs(side)
    assert.match(await side.ok('images', 'check'), /incomplete \(1\/3\).* true/)
  })
  await verb('content prune references', async side => {
    await side.ok('content', 'prune', 'references')
    await side.ok('content', 'ls')
  })
}
