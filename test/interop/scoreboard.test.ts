import assert from 'node:assert/strict'
import { test } from 'node:test'
import { formatTable } from './scoreboard.ts'

test('the table names what failed', () => {
  const table = formatTable([
    { part: 'ctr', tried: 12, passed: 12, failed: [] },
    { part: 'dockerd', tried: 3, passed: 1, failed: ['stats', 'rm'] },
  ])
  assert.deepEqual(table.split('\n'), [
    'client or part  verbs tried  passed  failed',
    'ctr             12           12      0',
    'dockerd         3            1       2: stats, rm',
  ])
})
