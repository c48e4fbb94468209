/** What is shown of a build, at a size. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Step } from '#api/gen/gantry/services/builder/v1/builder.ts'
import { buildFrame, type FrameSize } from './build-frame.ts'
import { BuildProgress } from './build-progress.ts'
import { failedStep } from './failed-step.ts'

const at = (seconds: number) => ({ seconds: BigInt(seconds), nanos: 0 })
const wide = { columns: 40, rows: 24 }

function told(...steps: (Partial<Step> & { output?: string })[]): BuildProgress {
  const progress = new BuildProgress()
  for (const { output, ...step } of steps) {
    progress.tell({ step: Step.fromPartial({ total: 4, startedAt: at(1), ...step }) })
    if (output !== undefined)
      progress.tell({ output: { step: step.id ?? 0, stderr: false, data: Buffer.from(output) } })
  }
  return progress
}

function lines(progress: BuildProgress, size: FrameSize = wide, isOver = false): string[] {
  return buildFrame(progress, { startedAt: at(0), now: at(10), isOver }, size).map(({ text }) => text)
}

test('steps side by side: a headline, marks, times at the right edge, the last lines of what runs', () => {
  const progress = told(
    { id: 1, name: '[a 1/4] FROM box', completedAt: at(2), cached: true },
    { id: 2, name: '[a 2/4] RUN make', output: `${[1, 2, 3, 4, 5, 6, 7].join('\n')}\nhalf` },
    { id: 3, name: '[b 3/4] RUN test', output: 'old\rnew \u001b[31mred\u001b[0m\n' },
  )
  assert.deepEqual(lines(progress), [
    '[+] Building 10.0s (1/4)',
    ' => CACHED [a 1/4] FROM box         1.0s',
    ' => [a 2/4] RUN make                9.0s',
    ...[2, 3, 4, 5, 6, 7].map(line => ` => => # ${line}`),
    ' => [b 3/4] RUN test                9.0s',
    ' => => # new red',
  ])
})

test('a small terminal: what runs stays, what is over goes, and nothing is wider', () => {
  const finished = [1, 2, 3, 4, 5].map(id => ({ id, name: `[${id}/9] RUN ${'x'.repeat(60)}`, completedAt: at(2) }))
  const progress = told(...finished, { id: 6, name: '[6/9] RUN now', output: 'window\n' })
  const shown = lines(progress, { columns: 30, rows: 6 })
  assert.deepEqual(shown, [
    '[+] Building 10.0s (5/6)',
    ' => [4/9] RUN xxxxxxxxxx… 1.0s',
    ' => [5/9] RUN xxxxxxxxxx… 1.0s',
    ' => [6/9] RUN now         9.0s',
    ' => => # window',
  ])
})

test('the last picture has every step, and no windows', () => {
  const finished = [1, 2, 3, 4].map(id => ({ id, name: `step ${id}`, completedAt: at(2), output: 'said\n' }))
  const shown = lines(told(...finished), { columns: 40, rows: 3 }, true)
  assert.equal(shown[0], '[+] Building 10.0s (4/4) FINISHED')
  assert.equal(shown.length, 5)
})

test('a failed step is shown with what it wrote last and its place', () => {
  const progress = told({
    id: 1,
    name: '[2/2] RUN false',
    output: 'why\n',
    completedAt: at(3),
    error: 'code 1',
    excerpt: 'Dockerfile:2:1',
  })
  assert.match(lines(progress, wide, true)[1] ?? '', /^ => ERROR \[2\/2\] RUN false +2\.0s$/)
  assert.equal(failedStep(progress), '------\n > [2/2] RUN false:\nwhy\n------\nDockerfile:2:1\n')
})
