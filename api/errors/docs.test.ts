import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { errorTable } from './errors.ts'

test('docs/errors.md and the table are equal, both ways', () => {
  const page = readFileSync(new URL('../../docs/errors.md', import.meta.url), 'utf8')
  const rows = [...page.matchAll(/^\| ([A-Z_]+) \| (\d+) \| (\d+) \| ([a-z ]+) \| (.+) \|$/gm)]
  const described = rows.map(([, code, grpc, http, text]) => [code, { grpc: Number(grpc), http: Number(http), text }])
  assert.deepEqual(Object.fromEntries(described), errorTable)
})
