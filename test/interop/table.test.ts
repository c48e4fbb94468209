/** Last of the suites here by its name: what every foreign client and part was asked to do in this run, in one table. */
import assert from 'node:assert/strict'
import { rmSync } from 'node:fs'
import { test } from 'node:test'
import { allScores, formatTable, scoreFile } from './scoreboard.ts'

test('the interop table', () => {
  const scores = allScores()
  rmSync(scoreFile, { force: true })
  console.log(formatTable(scores))
  assert.deepEqual(
    scores.flatMap(({ part, failed }) => failed.map(verb => `${part}: ${verb}`)),
    [],
  )
})
