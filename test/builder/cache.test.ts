/** The cache of builds: what it explains, how builds share it; images that come out the same. */
import assert from 'node:assert/strict'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { base, building, skip } from './building.ts'

const own = building()
const { build } = own

test('gctr build why names the input that missed the cache', { skip }, async () => {
  const folder = join(own.daemon.folder, 'why')
  await mkdir(join(folder, 'src'), { recursive: true })
  const lines = [`FROM ${base}`, 'ARG V', 'ENV KEPT=1', 'COPY src /src', 'RUN echo "$V" > /v']
  await writeFile(join(folder, 'Dockerfile'), `${lines.join('\n')}\n`)
  await writeFile(join(folder, 'src/a.c'), '1')
  await writeFile(join(folder, 'src/b.c'), '1')
  const built = async (v: string) => {
    const { code, stderr } = await own.daemon.run('build', '--build-arg', `V=${v}`, folder)
    assert.equal(code, 0, stderr)
  }
  const why = async (...args: string[]) => (await own.daemon.run('build', 'why', ...args)).stdout
  await built('1')
  assert.match(await why('COPY'), /never done on what it stands on/)
  await built('1')
  assert.equal(await why(), 'every step that can be cached was\n')
  await built('2')
  assert.match(await why(), /^\[stage-0 5\/5\] RUN echo .*\n {2}variable V changed\n$/)
  await writeFile(join(folder, 'src/b.c'), '2')
  await built('2')
  assert.match(await why('4'), /COPY src \/src\n {2}file \/src\/b\.c changed\n/)
  assert.match(await why('run'), /what it stands on changed/)
  assert.match(await why('ENV'), /nothing to cache/)
  assert.match((await own.daemon.run('build', 'why', 'nowhere')).stderr, /step "nowhere" in build .*: not found/)
})

test('of equal steps at the same time one is done, and the others share it', { skip }, async () => {
  const lines = [
    `FROM ${base}`,
    'RUN --mount=type=cache,target=/shared echo done >> /shared/log; sleep 1; cat /shared/log',
  ]
  const [one, other] = await Promise.all([build(lines), build(lines)])
  assert.deepEqual([one, other].map(({ steps }) => steps[1]?.cached).toSorted(), [false, true])
  assert.equal(`${one?.output}${other?.output}`, 'done\n')
})

test('SOURCE_DATE_EPOCH: two builds, one digest', { skip }, async () => {
  const lines = [`FROM ${base}`, 'WORKDIR /w', 'COPY f /w/', 'RUN echo made > /w/g && mkdir /w/h && ln /w/g /w/h/g']
  const digest = async (args: Record<string, string>) =>
    (await build([...lines, 'ENV A=b'], { f: '1' }, { noCache: true, args })).result.manifestDigest
  const first = await digest({ SOURCE_DATE_EPOCH: '1700000000' })
  assert.equal(await digest({ SOURCE_DATE_EPOCH: '1700000000' }), first)
  assert.notEqual(await digest({ SOURCE_DATE_EPOCH: '1600000000' }), first)
  assert.notEqual(await digest({}), await digest({}))
  await assert.rejects(build(lines, { f: '1' }, { args: { SOURCE_DATE_EPOCH: 'today' } }), /is not a number of seconds/)
})

test('build checks warn, or fail where the file wants it; --check builds nothing', { skip }, async () => {
  const folder = join(own.daemon.folder, 'checked')
  await mkdir(folder, { recursive: true })
  const checked = async (lines: string[], ...flags: string[]) => {
    await writeFile(join(folder, 'Dockerfile'), lines.join('\n'))
    return await own.daemon.run('build', ...flags, folder)
  }
  const lines = [`FROM ${base} as Odd`, 'ENV A=$NOWHERE B=$PATH', 'CMD true']
  const built = await checked(lines)
  assert.equal(built.code, 0, built.stderr)
  const rules = [...built.stderr.matchAll(/^WARN (\w+): /gm)].map(([, rule]) => rule)
  assert.deepEqual(rules, ['StageNameCasing', 'FromAsCasing', 'JSONArgsRecommended', 'UndefinedVar'])
  const only = await checked(lines, '--check')
  assert.equal(only.code, 1)
  assert.match(only.stdout, /Dockerfile:1:1\n {2}1 \| FROM .*\n.*\^{4}[\s\S]*3 warnings have been found!\n$/)
  const strict = await checked(['# check=error=true', ...lines])
  assert.match(strict.stderr, /lint violation found for rules: FromAsCasing, JSONArgsRecommended, StageNameCasing/)
})

test('RUN --security=insecure needs to be allowed', { skip }, async () => {
  const lines = [`FROM ${base}`, 'RUN --security=insecure grep -i capeff /proc/self/status']
  await assert.rejects(build(lines), { code: 'PERMISSION_DENIED', message: /--allow security.insecure/ })
  const { output } = await build(lines, {}, { entitlements: ['security.insecure'] })
  const all = BigInt(`0x${/CapEff:\s*([0-9a-f]+)/.exec(output)?.[1]}`)
  const { output: plain } = await build([`FROM ${base}`, 'RUN grep -i capeff /proc/self/status'])
  assert.ok(all > BigInt(`0x${/CapEff:\s*([0-9a-f]+)/.exec(plain)?.[1]}`))
  await assert.rejects(build([`FROM ${base}`, 'RUN --security=odd true']), /it is sandbox or insecure/)
})
