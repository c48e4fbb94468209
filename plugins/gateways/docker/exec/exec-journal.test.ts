import assert from 'node:assert/strict'
import { appendFileSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { execSchema } from './body.ts'
import { ExecJournal } from './exec-journal.ts'
import { ExecTable } from './exec-table.ts'

test('what one process wrote, the next one reads', t => {
  const folder = mkdtempSync(join(tmpdir(), 'execs-'))
  t.after(() => rmSync(folder, { recursive: true }))
  const path = join(folder, 'state', 'execs.jsonl')
  const first = new ExecTable(new ExecJournal(path))
  const wish = execSchema.parse({ Cmd: ['true'] })
  for (const id of ['a', 'b', 'c']) first.add({ id, containerId: 'box', wish, attachSocket: `/run/a/${id}` })
  first.starting(first.get('a'))
  first.running(first.get('a'), 42)
  first.ended('a', 3)
  first.add({ id: 'd', containerId: 'other', wish, attachSocket: '' })
  first.forgetOf('other')
  appendFileSync(path, '{"id":"half')

  const second = new ExecTable(new ExecJournal(path))
  const { exitCode, pid, wasStarted, running } = second.get('a')
  assert.deepEqual({ exitCode, pid, wasStarted, running }, { exitCode: 3, pid: 42, wasStarted: true, running: false })
  assert.deepEqual(second.get('b').wish.Cmd, ['true'])
  assert.equal(second.get('b').attachSocket, '/run/a/b')
  assert.equal(second.get('c').wasStarted, false)
  assert.throws(() => second.get('d'), /No such exec instance/)
  assert.doesNotMatch(readFileSync(path, 'utf8'), /half/, 'written anew without what was cut short')
})
