import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseDockerfile, parseTrigger } from './parse.ts'

const instructions = (...lines: string[]) =>
  parseDockerfile(['FROM scratch', ...lines].join('\n')).stages[0]?.instructions ?? []
const only = (...lines: string[]) => {
  const [instruction, ...more] = instructions(...lines)
  assert.equal(more.length, 0)
  return instruction as NonNullable<typeof instruction>
}
const shell = (...lines: string[]) => {
  const run = only(...lines)
  assert.ok(run.keyword === 'RUN' && run.command.form === 'shell')
  return run.command
}
const refused = (text: string | string[], message: RegExp) =>
  assert.throws(() => parseDockerfile([text].flat().join('\n')), { code: 'INVALID_ARGUMENT', message })

test('stages: names, bases, platforms, global arguments', () => {
  const file = parseDockerfile(
    ['ARG V=1 W', 'FROM --platform=$P debian:$V AS Base', 'RUN a', 'FROM base', 'FROM scratch as last'].join('\r\n'),
  )
  assert.deepEqual(file.globalArgs[0]?.args, [
    { name: 'V', value: '1' },
    { name: 'W', value: undefined },
  ])
  assert.deepEqual(
    file.stages.map(({ name, base, platform }) => [name, base, platform]),
    [
      ['base', 'debian:$V', '$P'],
      [undefined, 'base', undefined],
      ['last', 'scratch', undefined],
    ],
  )
})

test('directives: first lines only, each once', () => {
  const file = parseDockerfile('# syntax = docker/dockerfile:1\n# escape=`\n# check=skip=all\nFROM a\nRUN a `\n b')
  assert.deepEqual(file.directives, { syntax: 'docker/dockerfile:1', escapeChar: '`', check: 'skip=all' })
  assert.equal(file.stages[0]?.instructions[0]?.text, 'RUN a  b')
  assert.equal(parseDockerfile('# hello\n# escape=`\nFROM a').directives.escapeChar, '\\')
  refused('# escape=x\nFROM a', /invalid escape token 'x'/)
  refused('# escape=`\n# escape=`\nFROM a', /only one escape parser directive/)
})

test('continuations: blank lines and comments within, escaped escapes, blanks at the end', () => {
  assert.equal(shell('RUN a \\', '  # why', '', '  && b \\  ', 'c').line, 'a   && b c')
  assert.deepEqual(
    instructions('RUN echo \\\\', 'RUN b').map(instruction => instruction.text),
    ['RUN echo \\\\', 'RUN b'],
  )
  assert.equal(shell('RUN a \\').line, 'a')
})

test('here-documents: several, quoted, chomped, with a descriptor', () => {
  const { line, heredocs } = shell('RUN <<EOF cat 3<<-"X Y" && b', 'one', '# no comment', 'EOF', '\t\ttwo', '\tX Y')
  assert.equal(line, '<<EOF cat 3<<-"X Y" && b')
  assert.deepEqual(heredocs, [
    { name: 'EOF', fd: 0, chomp: false, expand: true, content: 'one\n# no comment\n' },
    { name: 'X Y', fd: 3, chomp: true, expand: false, content: 'two\n' },
  ])
  assert.deepEqual(shell('RUN cat <<< here; echo "<<EOF"').heredocs, [])
  const copy = only('COPY <<a.txt x <<b.txt /dir/', 'A', 'a.txt', 'b.txt')
  assert.ok(copy.keyword === 'COPY')
  assert.deepEqual(
    [copy.sources, copy.heredocs.map(({ name, content }) => [name, content])],
    [
      ['x'],
      [
        ['a.txt', 'A\n'],
        ['b.txt', ''],
      ],
    ],
  )
  refused(['FROM a', 'RUN <<EOF', 'x'], /line 2: unterminated heredoc: no line says "EOF"/)
})

test('RUN: flags with quotes, exec form, a broken array is for the shell', () => {
  const run = only('RUN --mount=type=bind,source="a b",target=/x \\', '--mount=type=ssh --network=none ["a", "b c"]')
  assert.ok(run.keyword === 'RUN')
  assert.deepEqual(run.mounts, ['type=bind,source=a b,target=/x', 'type=ssh'])
  assert.equal(run.network, 'none')
  assert.deepEqual(run.command, { form: 'exec', args: ['a', 'b c'] })
  assert.equal(shell("RUN [ 'a' ]").line, "[ 'a' ]")
  refused(['FROM a', 'RUN --mont=x y'], /unknown flag: --mont \(did you mean --mount\?\)/)
})

test('ENV, LABEL and ARG: pairs, quotes kept for the build, the old form', () => {
  const env = only('ENV A=b C="d e" F=g\\ h')
  assert.ok(env.keyword === 'ENV')
  assert.deepEqual(env.pairs, [
    { key: 'A', value: 'b' },
    { key: 'C', value: '"d e"' },
    { key: 'F', value: 'g\\ h' },
  ])
  const old = only('ENV A  b c=d')
  assert.ok(old.keyword === 'ENV' && old.legacy)
  assert.deepEqual(old.pairs, [{ key: 'A', value: 'b c=d' }])
  refused(['FROM a', 'ENV A=b C'], /can't find = in "C". Must be of the form: name=value/)
  refused(['FROM a', 'LABEL A'], /LABEL must have two arguments/)
})

test('COPY and ADD: flags and forms', () => {
  const copy = only('COPY --from=build --chown=1:2 --chmod=0755 --link --exclude=*.o --exclude=x ["a b", "/c d/"]')
  assert.ok(copy.keyword === 'COPY')
  const { from, chown, chmod, link, exclude, sources, destination } = copy
  assert.deepEqual([from, chown, chmod, link, exclude], ['build', '1:2', '0755', true, ['*.o', 'x']])
  assert.deepEqual([sources, destination], [['a b'], '/c d/'])
  refused(['FROM a', 'COPY a'], /COPY requires at least two arguments/)
  refused(['FROM a', 'ADD --from=x a b'], /unknown flag: --from/)
  refused(['FROM a', 'COPY a <<b', 'b'], /cannot accept a heredoc as a destination/)
})

test('HEALTHCHECK, SHELL, VOLUME, ONBUILD, one-word instructions', () => {
  const check = only('HEALTHCHECK --interval=5s --start-interval=1s --retries=3 CMD curl x')
  assert.ok(check.keyword === 'HEALTHCHECK')
  assert.deepEqual([check.interval, check.startInterval, check.retries], ['5s', '1s', '3'])
  assert.deepEqual(check.command, { form: 'shell', line: 'curl x', heredocs: [] })
  assert.deepEqual(only('VOLUME ["/a", "/b c"]'), { ...only('VOLUME ["/a", "/b c"]'), words: ['/a', '/b c'] })
  const onbuild = only('ONBUILD RUN <<E', 'x', 'E')
  assert.ok(onbuild.keyword === 'ONBUILD')
  assert.equal(onbuild.trigger, 'RUN <<E\nx\nE')
  const trigger = parseTrigger(onbuild.trigger)
  assert.ok(trigger.keyword === 'RUN' && trigger.command.form === 'shell')
  assert.equal(trigger.command.heredocs[0]?.content, 'x\n')
  refused(['FROM a', 'ONBUILD ONBUILD RUN x'], /Chaining ONBUILD/)
  refused(['FROM a', 'ONBUILD FROM x'], /FROM isn't allowed as an ONBUILD trigger/)
  refused(['FROM a', 'SHELL /bin/sh'], /SHELL requires the arguments to be in JSON form/)
  refused(['FROM a', 'HEALTHCHECK RUN x'], /Unknown type "RUN" in HEALTHCHECK/)
  refused(['FROM a', 'STOPSIGNAL A B'], /STOPSIGNAL requires exactly one argument/)
})

test('errors show file, line, the line and a caret', () => {
  assert.throws(() => parseDockerfile('FROM a\n\n  RUNN make', 'build/Dockerfile'), {
    message: [
      'dockerfile parse error on line 3: unknown instruction: RUNN (did you mean RUN?)',
      'build/Dockerfile:3:3',
      '  3 |   RUNN make',
      '    |   ^^^^',
    ].join('\n'),
  })
  refused('', /no instructions/)
  refused('RUN x\nFROM a', /line 1: no build stage in current context/)
  refused('FROM a AS x\nFROM b AS X', /duplicate name x: line 1 has it too/)
  refused('FROM a AS 1x', /invalid name for build stage: "1x"/)
  refused('FROM a b', /FROM requires either one or three arguments/)
  refused('FROM a\nEXPOSE', /EXPOSE requires at least one argument/)
})
