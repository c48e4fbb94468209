/** A build that finds everything in the cache: the same image, and nothing asked of the core that is known. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { base, build, building, skip } from './building.ts'

const own = building()

const lines = [
  `FROM ${base} AS one`,
  'RUN echo one > /one',
  `FROM ${base}`,
  'WORKDIR /w',
  'COPY f sub/',
  'COPY --from=one /one .',
]
const made = (content: string, more: string[] = [], options = {}) =>
  build(own.daemon.address, { Dockerfile: [...lines, ...more].join('\n'), f: content }, { network: 'none', ...options })

test('out of the cache comes the same image, by its id', { skip }, async () => {
  const first = await made('F', ['LABEL a=b'])
  const again = await made('F', ['LABEL a=b'])
  assert.ok(again.steps.every(({ cached, name }) => cached || /FROM|LABEL/.test(name)))
  assert.equal(again.result.imageId, first.result.imageId)
  const other = await made('other', ['LABEL a=b'])
  assert.notEqual(other.result.imageId, first.result.imageId)
  const anew = await made('F', ['LABEL a=b'], { noCache: true })
  assert.notEqual(anew.result.imageId, first.result.imageId)
})

test('what is known of a root is true of it, not of the one that came in its place', { skip }, async () => {
  const listed = async (dir: string) => {
    const script = [
      `RUN mkdir -p ${dir} && echo 1 > ${dir}/1`,
      'COPY f /made/dir',
      'RUN ls -p /made /made/dir 2>&1; true',
    ]
    return (await made('F', script)).output
  }
  // A file where the directory is missing, into the directory where it is there; the second time by what was remembered.
  for (const _ of [1, 2]) {
    assert.doesNotMatch(await listed('/elsewhere'), /dir\//)
    await made('F', ['RUN true'], { noCache: true })
  }
  assert.match(await listed('/made/dir'), /dir\/\n[\s\S]*1\nf\n/)
})

test('pruning leaves what a running build has found', { skip }, async () => {
  await made('kept')
  const pruned = Promise.withResolvers<string>()
  const slow = build(
    own.daemon.address,
    { Dockerfile: [...lines, 'RUN sleep 3; ls /w'].join('\n'), f: 'kept' },
    { network: 'none' },
    {
      onStep: step => {
        if (/sleep/.test(step.name) && step.completedAt === undefined)
          void own.daemon.run('builder', 'prune').then(({ stdout }) => pruned.resolve(stdout), pruned.reject)
      },
    },
  )
  const { output } = await slow
  assert.match(output, /^one\nsub\n/m)
  await pruned.promise
  const { steps } = await made('kept')
  assert.deepEqual(
    steps.filter(({ name, cached }) => /COPY|WORKDIR|RUN/.test(name) && !cached).map(({ name }) => name),
    [],
  )
})
