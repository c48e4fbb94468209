import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseDockerfile } from '../language/parse.ts'
import { CheckSettings, check } from './checks.ts'

const warned = (...lines: string[]) =>
  check(parseDockerfile(lines.join('\n'))).map(({ rule, location }) => `${location.startLine} ${rule}`)

test('a plain file has no warnings', () => {
  const lines = [
    '# escape=\\',
    'ARG TAG=1',
    'FROM debian:${TAG} AS build',
    'WORKDIR /src',
    'WORKDIR sub',
    'RUN make \\',
    '  all',
  ]
  assert.deepEqual(warned(...lines, 'FROM build', 'ENV PUBLIC_KEY=1 A=b', 'EXPOSE 80/tcp', 'CMD ["x"]'), [])
})

test('each rule finds what it is for, on its line', () => {
  const lines = [
    'ARG EMPTY',
    'FROM debian as Build',
    'MAINTAINER me',
    'workdir rel',
    'RUN one \\',
    '',
    '  two',
    'ENV setting value',
    'ARG DB_PASSWORD',
    'CMD run this',
    'CMD ["then", "this"]',
    'EXPOSE 80/TCP 127.0.0.1:1:2',
    'FROM --platform=linux/amd64 x',
    'FROM --platform=$TARGETPLATFORM $NONE',
    'FROM x:$EMPTY AS scratch',
  ]
  assert.deepEqual(warned(...lines), [
    '2 StageNameCasing',
    '2 FromAsCasing',
    '3 MaintainerDeprecated',
    '4 ConsistentInstructionCasing',
    '4 WorkdirRelativePath',
    '6 NoEmptyContinuation',
    '8 LegacyKeyValueFormat',
    '9 SecretsUsedInArgOrEnv',
    '10 JSONArgsRecommended',
    '10 MultipleInstructionsDisallowed',
    '12 ExposeProtoCasing',
    '12 ExposeInvalidFormat',
    '13 FromPlatformFlagConstDisallowed',
    '14 RedundantTargetPlatform',
    '14 UndefinedArgInFrom',
    '14 InvalidDefaultArgInFrom',
    '15 ReservedStageName',
    '15 InvalidDefaultArgInFrom',
  ])
})

test('a directive skips rules, or all, or makes them errors', () => {
  assert.deepEqual(warned('# check=skip=MaintainerDeprecated', 'FROM x', 'MAINTAINER me', 'CMD y'), [
    '4 JSONArgsRecommended',
  ])
  assert.deepEqual(warned('# check=skip=all;error=true', 'FROM x', 'MAINTAINER me'), [])
  assert.equal(new CheckSettings('skip=all;error=true').isError, true)
  assert.throws(() => new CheckSettings('foo=1'), /none of skip, error and experimental/)
})
