import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseDuration } from '../image/durations.ts'
import { emptyImageConfig } from '../image/image-config.ts'
import { parseDockerfile } from '../language/parse.ts'
import { runConfig, type StageState } from '../solve/stage-state.ts'
import { type ConfigureInstruction, configure } from './configure.ts'

const start: StageState = {
  platform: { os: 'linux', architecture: 'amd64', variant: '' },
  root: { chainID: '', layers: [] },
  image: { ...emptyImageConfig({ os: 'linux', architecture: 'amd64', variant: '' }), config: {} },
  history: [],
  args: new Map(),
  baseImage: 'scratch',
  hasOwnCommand: false,
}
const context = {
  escapeChar: '\\',
  buildArgs: new Map([['GIVEN', 'by hand']]),
  globalArgs: new Map([['GLOBAL', 'from above']]),
}

function after(state: StageState, ...lines: string[]): StageState {
  const stage = parseDockerfile(['FROM scratch', ...lines].join('\n')).stages[0]
  const instructions = (stage?.instructions ?? []) as ConfigureInstruction[]
  return instructions.reduce((before, instruction) => configure(before, instruction, context).state, state)
}
const config = (...lines: string[]) => runConfig(after(start, ...lines))

test('ENV sees what was set before its own line, LABEL the same', () => {
  assert.deepEqual(config('ENV A=1 B=x', 'ENV A=2 C=$A-${N:-d}', 'ENV OLD $B  c').Env, [
    'A=2',
    'B=x',
    'C=1-d',
    'OLD=x  c',
  ])
  assert.deepEqual(config('ENV A=1', 'LABEL a="$A b" "c d"=e').Labels, { a: '1 b', 'c d': 'e' })
})

test('ARG: given, its own default, the one above; ENV goes before it', () => {
  const { args } = after(start, 'ARG GIVEN=mine OWN=$GIVEN', 'ARG GLOBAL NONE', 'ARG NEXT=$GLOBAL')
  assert.deepEqual(
    [...args],
    [
      ['GIVEN', 'by hand'],
      ['OWN', ''],
      ['GLOBAL', 'from above'],
      ['NEXT', 'from above'],
    ],
  )
  assert.deepEqual(config('ARG A=arg', 'ENV A=env', 'ENV B=$A').Env, ['A=env', 'B=env'])
})

test('WORKDIR joins, USER and STOPSIGNAL expand', () => {
  assert.equal(config('WORKDIR a', 'WORKDIR b/../c/').WorkingDir, '/a/c')
  assert.equal(config('WORKDIR /a', 'WORKDIR /b').WorkingDir, '/b')
  assert.equal(config('ENV U=me', 'USER $U:1').User, 'me:1')
  assert.equal(config('STOPSIGNAL SIGRTMIN+3').StopSignal, 'SIGRTMIN+3')
  assert.throws(() => config('STOPSIGNAL !'), { code: 'INVALID_ARGUMENT', message: /invalid signal: !/ })
})

test('EXPOSE: protocols and ranges', () => {
  assert.deepEqual(Object.keys(config('ENV P=90', 'EXPOSE 80 $P/udp 8000-8002').ExposedPorts ?? {}), [
    '90/udp',
    '80/tcp',
    '8000/tcp',
    '8001/tcp',
    '8002/tcp',
  ])
  for (const port of ['x', '80/icmp', '9-8', '70000'])
    assert.throws(() => config(`EXPOSE ${port}`), { code: 'INVALID_ARGUMENT' }, port)
})

test('CMD and ENTRYPOINT: the shell, and an inherited CMD that goes', () => {
  const base = after(start, 'CMD ["base"]', 'ENTRYPOINT ["base"]')
  const inherited = { ...base, hasOwnCommand: false }
  assert.deepEqual(runConfig(after(inherited, 'ENTRYPOINT ["new"]')).Cmd, undefined)
  assert.deepEqual(runConfig(after(inherited, 'CMD x y', 'ENTRYPOINT ["new"]')).Cmd, ['/bin/sh', '-c', 'x y'])
  assert.deepEqual(config('SHELL ["/bin/bash", "-lc"]', 'CMD x').Cmd, ['/bin/bash', '-lc', 'x'])
})

test('HEALTHCHECK, VOLUME, ONBUILD', () => {
  assert.deepEqual(config('HEALTHCHECK --interval=1m30s --retries=2 CMD curl x').Healthcheck, {
    Test: ['CMD-SHELL', 'curl x'],
    Interval: 90e9,
    Retries: 2,
  })
  assert.deepEqual(config('HEALTHCHECK NONE').Healthcheck, { Test: ['NONE'] })
  assert.deepEqual(config('ENV V=/v', 'VOLUME $V /w').Volumes, { '/v': {}, '/w': {} })
  assert.deepEqual(config('ONBUILD RUN a', 'ONBUILD COPY b c').OnBuild, ['RUN a', 'COPY b c'])
})

test('durations', () => {
  assert.equal(parseDuration('1h1.5m2s3ms'), 3600e9 + 90e9 + 2e9 + 3e6)
  assert.equal(parseDuration('0'), 0)
  for (const text of ['', '5', '-1s', '1 s', 's'])
    assert.throws(() => parseDuration(text), { code: 'INVALID_ARGUMENT' }, text)
})
