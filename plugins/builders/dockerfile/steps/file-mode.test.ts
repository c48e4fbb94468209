import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { chmodSync, mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { readMode } from './file-mode.ts'

test('symbolic modes are what chmod(1) makes of them', () => {
  const folder = mkdtempSync(join(tmpdir(), 'mode-'))
  try {
    const [file, directory] = [join(folder, 'f'), join(folder, 'd')]
    writeFileSync(file, '')
    mkdirSync(directory)
    // Words without a class are bare of the umask in a build: chmod is given one of 0.
    const words = [
      'a+x',
      'u=rwX,go=rX',
      'g=u',
      'o-rwx',
      'u+s,g+s',
      '+t',
      'a=',
      'ug=rw',
      'u=rw-w,o+x',
      'g+X',
      'u-s',
      '=r',
    ]
    for (const word of words)
      for (const mode of [0o644, 0o755, 0o600, 0o6751])
        for (const [path, type] of [[file, 'file'] as const, [directory, 'directory'] as const]) {
          chmodSync(path, mode)
          execFileSync('/bin/sh', ['-c', 'umask 0; exec chmod "$1" "$2"', 'sh', `${word}`, path])
          // GNU's chmod keeps a directory's set-id bits that are not named; ours is the same for both kinds.
          const mask = type === 'directory' ? 0o1777 : 0o7777
          const made = readMode(word)({ type, mode })
          assert.equal(
            (made & mask).toString(8),
            (statSync(path).mode & mask).toString(8),
            `${word} of ${mode.toString(8)}`,
          )
        }
  } finally {
    rmSync(folder, { recursive: true })
  }
})

test('octal digits; what is neither', () => {
  assert.equal(readMode('0755')({ type: 'file', mode: 0 }), 0o755)
  assert.equal(readMode('4711')({ type: 'directory', mode: 0 }), 0o4711)
  for (const text of ['', 'rwx', '0888', 'u=q', 'u', '+x,', 'z+x', '12345'])
    assert.throws(() => readMode(text), { code: 'INVALID_ARGUMENT' }, text)
})
