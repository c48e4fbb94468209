/** A container that runs out of memory, as the docker command tells of it. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { patience } from '../daemon/patience.ts'
import { Docker, dockerCommand } from './docker.ts'

const timeout = 120_000 * patience
const skip =
  process.getuid?.() !== 0 ? 'needs root' : dockerCommand === undefined ? 'there is no docker command' : false
const limitBytes = 16 * 1024 * 1024

interface OomState {
  OOMKilled: boolean
  OOMReport?: { PeakBytes: number; LimitBytes: number; KilledPid: number; KilledName: string; LastLines: string[] }
}

test('inspect and the event tell the peak, who was killed, and the last lines', { skip, timeout }, async () => {
  await using docker = await Docker.start()
  const image = await docker.importBusybox()
  const sinceSeconds = Math.floor(Date.now() / 1000)
  const script = 'for i in 1 2 3; do echo step $i; done; tail /dev/zero'
  await docker.run([
    'run',
    '--net',
    'none',
    '-m',
    '16m',
    '--memory-swap',
    '16m',
    '--name',
    'hungry',
    image,
    'sh',
    '-c',
    script,
  ])
  const state = async () => (JSON.parse(await docker.ok('inspect', 'hungry')) as [{ State: OomState }])[0].State
  for (const deadline = Date.now() + 20_000 * patience; !(await state()).OOMReport; await sleep(50))
    assert.ok(Date.now() < deadline, `${JSON.stringify(await state())}\n${docker.daemon.log}`)
  const { OOMKilled, OOMReport } = await state()
  assert.ok(OOMKilled && OOMReport)
  const { PeakBytes, LimitBytes, KilledName, KilledPid, LastLines } = OOMReport
  assert.equal(LimitBytes, limitBytes)
  assert.ok(PeakBytes > limitBytes / 2 && PeakBytes <= limitBytes, `${PeakBytes}`)
  assert.deepEqual(LastLines, ['step 1', 'step 2', 'step 3'])
  // A kernel that keeps its log from us tells nobody's name.
  if (KilledPid !== 0) assert.equal(KilledName, 'tail')
  const until = Math.ceil(Date.now() / 1000) + 1
  const filters = ['--filter', 'event=oom', '--since', `${sinceSeconds}`, '--until', `${until}`]
  const told = await docker.ok('events', ...filters, '--format', '{{json .Actor.Attributes}}')
  const { peakBytes, lastLines, name } = JSON.parse(told.split('\n')[0] ?? '') as Record<string, string>
  assert.deepEqual(
    { peakBytes, lastLines, name },
    { peakBytes: `${PeakBytes}`, lastLines: 'step 1\nstep 2\nstep 3', name: 'hungry' },
  )
})
