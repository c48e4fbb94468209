import assert from 'node:assert/strict'
import { test } from 'node:test'
import { dataLoss, notImplemented } from '#api/errors/errors.ts'
import { parseDigest } from '#api/types/digest.ts'
import { ChosenDiffs, type OfferedDiffer } from './chosen-diffs.ts'
import type { Diffs } from './diff.ts'

const digest = parseDigest(`sha256:${'0'.repeat(64)}`)
const [gzip, own, strange] = ['tar+gzip', 'tar', 'tar+strange']

/** Notes who is asked; `outcomes` says what else they do than to apply. */
function world(order: string[], offered: OfferedDiffer[], outcomes: Record<string, Error> = {}) {
  const asked: string[] = []
  const differ = (id: string) =>
    ({
      canApply: (mediaType: string) => mediaType !== strange,
      async apply() {
        asked.push(id)
        if (outcomes[id]) throw outcomes[id]
        return { diffID: digest, uncompressedBytes: 1, entries: 1 }
      },
    }) as unknown as Diffs
  const diffs = new ChosenDiffs({ own: differ('builtin'), order, offered: () => offered, differ })
  const apply = (mediaType: string) => diffs.apply('ns', { mediaType, digest }, [])
  return { diffs, apply, asked }
}

const says = { id: 'says', mediaTypes: [strange, gzip] }
const silent = { id: 'silent', mediaTypes: [] }

test('who declares a media type is asked for it alone, before our own', async () => {
  const { apply, asked, diffs } = world([], [says, silent])
  for (const type of [strange, gzip, own]) await apply(type)
  assert.deepEqual(asked, ['says', 'says', 'builtin'])
  assert.ok(diffs.canApply(strange))
  assert.ok(!world([], [silent]).diffs.canApply(strange), 'who does not say is not asked unless named')
})

test('the order goes before, also our own in it', async () => {
  const named = world(['silent', 'builtin'], [says, silent], { silent: notImplemented('no') })
  await named.apply(gzip)
  assert.deepEqual(named.asked, ['silent', 'builtin'])
  const gone = world(['removed'], [])
  await gone.apply(own)
  assert.deepEqual(gone.asked, ['builtin'], 'a name without a plugin is nothing')
})

test('NOT_IMPLEMENTED alone leads to the next', async () => {
  const failing = world(['silent'], [silent], { silent: dataLoss('torn') })
  await assert.rejects(failing.apply(own), { code: 'DATA_LOSS' })
  assert.deepEqual(failing.asked, ['silent'])
  const nobody = world([], [says], { says: notImplemented('not me'), builtin: notImplemented('nor me') })
  await assert.rejects(nobody.apply(strange), { code: 'NOT_IMPLEMENTED', message: /nor me/ })
})
