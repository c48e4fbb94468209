import assert from 'node:assert/strict'
import { test } from 'node:test'
import { killedIn } from './oom-report.ts'

const record = (cgroup: string, task: string, pid: number) =>
  `6,1,2,-;oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=x,mems_allowed=0,oom_memcg=${cgroup},task_memcg=${cgroup},task=${task},pid=${pid},uid=0\n`

test('the last process killed in the container’s cgroup, whatever made the cgroup', () => {
  const records = [
    record('/gantry-1/moby/abc', 'first', 1),
    record('/gantry-1/moby/abc', 'a,task=b', 2),
    record('/gantry-1/moby/other', 'not ours', 3),
    record('/system.slice/gantry-def.scope', 'scoped', 4),
    'something else',
  ]
  assert.deepEqual(killedIn(records, 'abc'), { killedPid: 2, killedName: 'a,task=b' })
  assert.deepEqual(killedIn(records, 'def'), { killedPid: 4, killedName: 'scoped' })
  assert.deepEqual(killedIn(records, 'ab'), { killedPid: 0, killedName: '' })
})
