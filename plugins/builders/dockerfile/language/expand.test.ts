import assert from 'node:assert/strict'
import { test } from 'node:test'
import { expandWord, expandWords } from './expand.ts'

const values: Record<string, string> = { A: 'a', EMPTY: '', PATH: '/usr/local/bin', S: 'one  two', V: 'foobarfoo' }
const options = { escapeChar: '\\', lookup: (name: string) => values[name] }
const word = (text: string) => expandWord(text, options)

test('variables, quotes and escapes', () => {
  for (const [text, expected] of [
    ['$A-${A}', 'a-a'],
    ['$AB', ''],
    ['\\$A', '$A'],
    [`'$A'`, '$A'],
    ['"$A \\" \\x"', 'a " \\x'],
    [`"it's"`, "it's"],
    ['a\\ b', 'a b'],
    ['$', '$'],
    ['a$.b', 'a$.b'],
    ['end\\', 'end'],
  ] as const)
    assert.equal(word(text), expected, text)
})

test('defaults and alternatives', () => {
  for (const [text, expected] of [
    ['${N:-x}', 'x'],
    ['${EMPTY:-x}', 'x'],
    ['${EMPTY-x}', ''],
    ['${N-$A}', 'a'],
    ['${N:-${A}b}', 'ab'],
    ['${A:+x}', 'x'],
    ['${EMPTY:+x}', ''],
    ['${EMPTY+x}', 'x'],
    ['${A:?no}', 'a'],
    ['${N:-"a b"}', 'a b'],
  ] as const)
    assert.equal(word(text), expected, text)
  assert.throws(() => word('${N:?it is needed}'), /N: it is needed/)
  assert.throws(() => word('${EMPTY:?}'), /EMPTY: is not allowed to be unset/)
})

test('patterns', () => {
  for (const [text, expected] of [
    ['${PATH#/*/}', 'local/bin'],
    ['${PATH##*/}', 'bin'],
    ['${PATH%/*}', '/usr/local'],
    ['${PATH%%/*}', ''],
    ['${V#foo}', 'barfoo'],
    ['${V%foo}', 'foobar'],
    ['${V/foo/x}', 'xbarfoo'],
    ['${V//foo/$A}', 'abara'],
    ['${V/f?o/}', 'barfoo'],
    ['${PATH//\\//-}', '-usr-local-bin'],
  ] as const)
    assert.equal(word(text), expected, text)
})

test('what cannot be read', () => {
  for (const text of ['${A', '${}', '${A!}', '"a', "'a", '${A/x}'])
    assert.throws(() => word(text), { code: 'INVALID_ARGUMENT' }, text)
})

test('words: blanks of variables split, quoted ones do not', () => {
  assert.deepEqual(expandWords('$S "$S" x\\ y ""', { ...options }), ['one', 'two', 'one  two', 'x y', ''])
  assert.deepEqual(expandWords('80/tcp $EMPTY 81', options), ['80/tcp', '81'])
})

test('names that are not set are told', () => {
  const unset: string[] = []
  expandWord('$A $NO ${NEVER:-x}', { ...options, onUnset: name => unset.push(name) })
  assert.deepEqual(unset, ['NO'])
})
