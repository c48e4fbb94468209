import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'

test('a file that fails is run once more: only what fails twice has failed, and nothing is counted twice', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'gantry-lanes-'))
  const file = (name: string, ...body: string[]) =>
    writeFile(
      join(folder, name),
      [
        "import { test } from 'node:test'",
        "import { existsSync, writeFileSync } from 'node:fs'",
        "test('good', () => {})",
        ...body,
      ].join('\n'),
    )
  await file('bad.mjs', "test('never', () => { throw new Error('as always') })")
  await file('well.mjs', "test.skip('left out', () => {})")
  const mark = JSON.stringify(join(folder, 'mark'))
  await file(
    'once.mjs',
    `test('second', () => { if (existsSync(${mark})) return; writeFileSync(${mark}, ''); throw 1 })`,
  )
  const lane = JSON.stringify(join(import.meta.dirname, 'node-tests.ts'))
  const script = `import { nodeLane } from ${lane}
    const tally = await nodeLane(${JSON.stringify(folder)}, ['bad.mjs', 'once.mjs', 'well.mjs'], 2)()
    console.log('\\n' + JSON.stringify(tally))`
  await writeFile(join(folder, 'main.ts'), script)
  // Without what tells a child of node:test that it is one.
  const { NODE_TEST_CONTEXT: _, ...env } = process.env
  const told = execFileSync(process.execPath, [join(folder, 'main.ts')], { encoding: 'utf8', env })
  assert.deepEqual(JSON.parse(told.trim().split('\n').at(-1) ?? ''), {
    passed: 4,
    failed: ['bad.mjs: never'],
    skipped: 1,
  })
  assert.match(told, /PASSED ONLY ALONE: once\.mjs: second\n/)
  await rm(folder, { recursive: true })
})
