import assert from 'node:assert/strict'
import { mock, test } from 'node:test'
import { RecentAnswers } from './recent-answers.ts'

test('an answer is given again for a moment, on the same connection, until it is forgotten', t => {
  let nowMs = 0
  mock.method(performance, 'now', () => nowMs)
  t.after(() => mock.restoreAll())
  const [connection, another] = [{}, {}]
  const answers = new RecentAnswers<string>()
  answers.set('k', 'v', connection)
  assert.equal(answers.get('k', connection), 'v')
  nowMs = 999
  assert.equal(answers.get('k', connection), 'v')
  nowMs = 1000
  assert.equal(answers.get('k', connection), undefined)
  answers.set('k', 'v', connection)
  assert.equal(answers.get('k', another), undefined)
  answers.set('k', 'v', connection)
  answers.forget('k')
  assert.equal(answers.get('k', connection), undefined)
})

test('the oldest answers make room', () => {
  const connection = {}
  const answers = new RecentAnswers<number>()
  for (let i = 0; i <= 1024; i++) answers.set(`k${i}`, i, connection)
  assert.equal(answers.get('k0', connection), undefined)
  assert.equal(answers.get('k1', connection), 1)
  assert.equal(answers.get('k1024', connection), 1024)
})
