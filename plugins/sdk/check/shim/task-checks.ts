/** Rules for the life of a container in a shim, and of further processes in it. */
import assert from 'node:assert/strict'
import { constants } from 'node:os'
import { isGantryError } from '#api/errors/errors.ts'
import { Status } from '#api/gen/containerd/types/task/task.ts'
import type { ShimChecks } from './executable-checks.ts'
import { alive, eventually, Subject, soon } from './shim-bench.ts'

const { SIGKILL, SIGTERM } = constants.signals
const signalled = 128
const forever = 'sleep 1000'

async function refused(call: Promise<unknown>, what: string, ...codes: string[]): Promise<void> {
  await assert.rejects(soon(call, what), (error: unknown) => {
    assert.ok(isGantryError(error), `${what}: ${String(error)}`)
    if (codes.length > 0) assert.ok(codes.includes(error.code), `${what}: ${error.code}, not ${codes.join(' or ')}`)
    return true
  })
}

export const taskChecks: ShimChecks = {
  'a created process waits': async shim => {
    await using subject = await Subject.begin(shim, 'echo > /shared/began')
    const pid = await subject.create()
    const state = await subject.api.state({ id: subject.id })
    assert.deepEqual([state.status, state.pid, state.id, state.execId], [Status.CREATED, pid, subject.id, ''])
    assert.deepEqual([state.stdout, state.stdin], [subject.stdout.path, subject.stdin.path])
    assert.ok(alive(pid))
    const { taskPid } = await subject.api.connect({ id: subject.id })
    assert.equal(taskPid, pid)
    assert.equal(subject.shared('began'), undefined)
  },

  'a started process runs, and is told by its pid': async shim => {
    await using subject = await Subject.created(shim, `echo > /shared/began; ${forever}`)
    const { pid } = await subject.api.start({ id: subject.id })
    await eventually(() => subject.shared('began') !== undefined, 'its first step')
    const state = await subject.api.state({ id: subject.id })
    assert.deepEqual([state.status, state.pid], [Status.RUNNING, pid])
    await refused(subject.api.start({ id: subject.id }), 'a second Start')
  },

  'a container is created once': async shim => {
    await using subject = await Subject.created(shim, forever)
    await refused(subject.create(), 'a second Create')
    assert.equal((await subject.api.state({ id: subject.id })).status, Status.CREATED)
  },

  'what is not there is NOT_FOUND': async shim => {
    await using subject = await Subject.running(shim, forever)
    const nobody = { id: subject.id, execId: 'nobody' }
    for (const verb of ['state', 'start', 'wait', 'delete'] as const)
      await refused(subject.api[verb](nobody) as Promise<unknown>, `${verb} of nobody`, 'NOT_FOUND')
    await refused(subject.api.kill({ ...nobody, signal: SIGTERM }), 'kill of nobody', 'NOT_FOUND')
  },

  'Wait and State tell how it ended': async shim => {
    await using subject = await Subject.created(shim, 'exit 7')
    const before = BigInt(Math.floor(Date.now() / 1000))
    const waiting = [subject.api.wait({ id: subject.id }), subject.api.wait({ id: subject.id })]
    await subject.api.start({ id: subject.id })
    const [first, second] = await soon(Promise.all(waiting), 'Wait')
    assert.equal(first?.exitStatus, 7)
    assert.deepEqual(first, second)
    assert.ok((first?.exitedAt?.seconds ?? 0n) >= before, 'a time of now')
    const state = await subject.api.state({ id: subject.id })
    assert.deepEqual([state.status, state.exitStatus, state.exitedAt], [Status.STOPPED, 7, first?.exitedAt])
    assert.deepEqual(await soon(subject.api.wait({ id: subject.id }), 'a late Wait'), first)
  },

  'a signal ends it, and its number is told': async shim => {
    await using subject = await Subject.running(shim, forever)
    await subject.api.kill({ id: subject.id, signal: SIGKILL })
    assert.equal(await subject.ended(), signalled + SIGKILL)
    await refused(
      subject.api.kill({ id: subject.id, signal: SIGKILL }),
      'kill of the dead',
      'NOT_FOUND',
      'FAILED_PRECONDITION',
    )
  },

  'a process hears the very signal that is sent': async shim => {
    await using subject = await Subject.running(
      shim,
      'trap "echo heard > /shared/term; exit 3" TERM; echo > /shared/ready; while :; do sleep 0.05; done',
    )
    await eventually(() => subject.shared('ready') !== undefined, 'its trap')
    await subject.api.kill({ id: subject.id, signal: SIGTERM })
    assert.equal(await subject.ended(), 3)
    assert.equal(subject.shared('term'), 'heard\n')
  },

  'a running container is not deleted': async shim => {
    await using subject = await Subject.running(shim, forever)
    await refused(subject.api.delete({ id: subject.id }), 'Delete of what runs')
    assert.equal((await subject.api.state({ id: subject.id })).status, Status.RUNNING)
  },

  'Delete tells how it ended, once, and leaves nothing': async shim => {
    await using subject = await Subject.running(shim, 'exit 9')
    const { pid } = await subject.api.state({ id: subject.id })
    await subject.ended()
    const gone = await soon(subject.api.delete({ id: subject.id }), 'Delete')
    assert.deepEqual([gone.exitStatus, gone.pid], [9, pid])
    assert.ok(gone.exitedAt && gone.exitedAt.seconds > 0n, 'a time')
    await refused(subject.api.state({ id: subject.id }), 'State of the deleted', 'NOT_FOUND')
    await refused(subject.api.delete({ id: subject.id }), 'a second Delete', 'NOT_FOUND')
  },

  'a created container can be given up': async shim => {
    await using subject = await Subject.begin(shim, forever)
    const pid = await subject.create()
    await subject.api.kill({ id: subject.id, signal: SIGKILL }).catch(() => {})
    await subject.ended()
    await soon(subject.api.delete({ id: subject.id }), 'Delete')
    await eventually(() => !alive(pid), 'its end')
  },

  'a further process runs beside the first': async shim => {
    await using subject = await Subject.running(shim, forever)
    await subject.exec('more', 'echo further; exit 5')
    assert.equal((await subject.api.state({ id: subject.id, execId: 'more' })).status, Status.CREATED)
    const { pid } = await subject.api.start({ id: subject.id, execId: 'more' })
    assert.ok(pid > 1)
    assert.equal(await subject.ended('more'), 5)
    await soon(
      subject.stdout.until(text => text === 'further\n'),
      'its output',
    )
    const gone = await subject.api.delete({ id: subject.id, execId: 'more' })
    assert.deepEqual([gone.exitStatus, gone.pid], [5, pid])
    await refused(subject.api.state({ id: subject.id, execId: 'more' }), 'State of the deleted', 'NOT_FOUND')
    assert.equal((await subject.api.state({ id: subject.id })).status, Status.RUNNING)
  },

  'the id of a further process is taken once': async shim => {
    await using subject = await Subject.running(shim, forever)
    await subject.exec('more', forever)
    await refused(subject.exec('more', 'true'), 'a second Exec', 'ALREADY_EXISTS')
  },

  'a further process is killed alone': async shim => {
    await using subject = await Subject.running(shim, forever)
    await subject.exec('more', forever)
    await subject.api.start({ id: subject.id, execId: 'more' })
    await subject.api.kill({ id: subject.id, execId: 'more', signal: SIGKILL })
    assert.equal(await subject.ended('more'), signalled + SIGKILL)
    assert.equal((await subject.api.state({ id: subject.id })).status, Status.RUNNING)
  },

  'the end of the first process is the end of all': async shim => {
    await using subject = await Subject.running(shim, forever)
    await subject.exec('more', forever)
    const { pid } = await subject.api.start({ id: subject.id, execId: 'more' })
    await subject.api.kill({ id: subject.id, signal: SIGKILL })
    assert.equal(await subject.ended(), signalled + SIGKILL)
    assert.equal(await subject.ended('more'), signalled + SIGKILL)
    assert.ok(!alive(pid))
  },

  'Pids names every process': async shim => {
    await using subject = await Subject.running(shim, `${forever} & ${forever}`)
    const { pid: first } = await subject.api.state({ id: subject.id })
    await subject.exec('more', forever)
    const { pid: more } = await subject.api.start({ id: subject.id, execId: 'more' })
    const pids = async () => (await subject.api.pids({ id: subject.id })).processes.map(({ pid }) => pid)
    await eventually(async () => (await pids()).length >= 3, 'three processes')
    const all = await pids()
    assert.ok(all.includes(first) && all.includes(more), `${all} holds ${first} and ${more}`)
  },

  'a paused container stands still': async shim => {
    await using subject = await Subject.running(shim, 'while :; do echo x >> /shared/beats; sleep 0.02; done')
    await eventually(() => (subject.shared('beats') ?? '').length > 2, 'its beats')
    await soon(subject.api.pause({ id: subject.id }), 'Pause')
    assert.equal((await subject.api.state({ id: subject.id })).status, Status.PAUSED)
    const stopped = subject.shared('beats')
    await new Promise(resolve => setTimeout(resolve, 200))
    assert.equal(subject.shared('beats'), stopped)
    await soon(subject.api.resume({ id: subject.id }), 'Resume')
    assert.equal((await subject.api.state({ id: subject.id })).status, Status.RUNNING)
    await eventually(() => subject.shared('beats') !== stopped, 'its next beat')
  },

  'Stats answers figures': async shim => {
    await using subject = await Subject.running(shim, forever)
    const { stats } = await soon(subject.api.stats({ id: subject.id }), 'Stats')
    assert.match(stats?.typeUrl ?? '', /Metrics$/)
    assert.ok((stats?.value.length ?? 0) > 0)
  },
}
