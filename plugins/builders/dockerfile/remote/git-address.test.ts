import assert from 'node:assert/strict'
import { test } from 'node:test'
import { contextAddress, gitAddress, withoutPassword } from './git-address.ts'

test('what is a repository, and what of it is meant', () => {
  for (const [text, expected] of [
    ['https://host/x.git', { url: 'https://host/x.git', ref: '', folder: '/' }],
    ['https://host/x.git#v1:a/b', { url: 'https://host/x.git', ref: 'v1', folder: '/a/b' }],
    ['https://host/x.git#:../../a', { ref: '', folder: '/a' }],
    ['git@host:me/x.git#main', { url: 'git@host:me/x.git', ref: 'main' }],
    ['ssh://me@host:22/x', { url: 'ssh://me@host:22/x', ref: '' }],
    ['git://host/x#refs/pull/1/head', { ref: 'refs/pull/1/head' }],
    ['https://host/x.git?branch=a&subdir=b&keep-git-dir=1', { ref: 'refs/heads/a', folder: '/b', keepGitDir: true }],
    ['https://host/x.git?tag=v1&submodules=false', { ref: 'refs/tags/v1', submodules: false }],
  ] as const)
    assert.partialDeepStrictEqual(gitAddress(text), expected, text)
  for (const text of [
    'https://host/x',
    'https://host/x.git.tar',
    'folder/x.git',
    'github.com/a/b',
    'a@b',
    'me@host://x',
  ])
    assert.equal(gitAddress(text), undefined, text)
  assert.partialDeepStrictEqual(contextAddress('github.com/a/b#c'), { url: 'https://github.com/a/b.git', ref: 'c' })
})

test('what cannot be meant is refused', () => {
  for (const text of [
    'file:///x.git',
    'https://host/x.git#-u',
    'https://host/x.git#a b',
    'https://host/x.git#a^{/x}',
    'https://host/x.git?depth=1',
    'https://host/x.git?ref=a&tag=b',
    'https://host/x.git?ref=a#b',
    'https://host/x.git?commit=HEAD',
  ])
    assert.throws(() => gitAddress(text), { code: 'INVALID_ARGUMENT' }, text)
})

test('messages hold no password', () => {
  assert.equal(withoutPassword('to https://me:pw@host/x.git failed'), 'to https://host/x.git failed')
  assert.equal(withoutPassword('git@host:x.git'), 'git@host:x.git')
})
