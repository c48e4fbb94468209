/** Rules for a shim's executable: `start`, `delete`, what it says of itself, and its process. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { DeleteResponse } from '#api/gen/containerd/task/v3/task.ts'
import { RuntimeInfo } from '#api/gen/containerd/types/introspection.ts'
import { alive, eventually, Subject, soon } from './shim-bench.ts'
import { parseAddress, type Shim } from './shim-executable.ts'

export type ShimChecks = Readonly<Record<string, (shim: Shim) => Promise<void>>>

const killed = 137

export const executableChecks: ShimChecks = {
  '-v says its version': async shim => {
    const { code, stdout } = await shim.ask('-v')
    assert.equal(code, 0)
    assert.match(stdout.toString(), /^\s*Version:\s*\S+/m)
  },

  '-info, where it is known, names the runtime': async shim => {
    const { code, stdout } = await shim.ask('-info')
    if (code !== 0) return
    const { name, version } = RuntimeInfo.decode(stdout)
    assert.match(name, /^[\w-]+(\.[\w-]+)+$/)
    assert.notEqual(version?.version ?? '', '')
  },

  'start answers an address and nothing else': async shim => {
    await using subject = await Subject.prepare(shim, 'true')
    const { code, stdout } = await subject.run('start')
    assert.equal(code, 0)
    const address = parseAddress(stdout.toString())
    assert.ok(address, `it answered "${stdout}"`)
    using connection = shim.connect(address, subject.place.namespace)
    const { shimPid } = await soon(connection.api.connect({ id: subject.id }), 'Connect')
    subject.shimPid = shimPid
    assert.ok(alive(shimPid))
  },

  'the shim is in a group of its own, away from the daemon’s signals': async shim => {
    await using subject = await Subject.begin(shim, 'true')
    assert.notEqual(groupOf(subject.shimPid), groupOf(process.pid))
  },

  'a second start for one id finds the same shim, or is refused': async shim => {
    await using subject = await Subject.begin(shim, 'true')
    const { code, stdout } = await subject.run('start')
    const address = parseAddress(stdout.toString())
    if (code !== 0 || address === undefined) return
    using connection = shim.connect(address, subject.place.namespace)
    assert.equal((await soon(connection.api.connect({ id: subject.id }), 'Connect')).shimPid, subject.shimPid)
  },

  'the container outlives its daemon’s connection': async shim => {
    await using subject = await Subject.running(shim, 'sleep 1000')
    const { pid } = await subject.api.state({ id: subject.id })
    await subject.reconnect()
    assert.equal((await soon(subject.api.state({ id: subject.id }), 'State')).pid, pid)
  },

  'delete ends what a killed shim left, and says so': async shim => {
    await using subject = await Subject.running(shim, 'sleep 1000')
    const { pid } = await subject.api.state({ id: subject.id })
    process.kill(subject.shimPid, 'SIGKILL')
    await eventually(() => !alive(subject.shimPid), 'the end of the shim')
    const { code, stdout, stderr } = await subject.run('delete')
    assert.equal(code, 0, stderr.toString())
    const { exitStatus, exitedAt } = DeleteResponse.decode(stdout)
    assert.equal(exitStatus, killed)
    assert.ok(exitedAt && exitedAt.seconds > 0n, 'a time')
    await eventually(() => !alive(pid), 'the end of the container’s process')
    assert.doesNotMatch(readFileSync('/proc/self/mountinfo', 'utf8'), new RegExp(` ${subject.place.bundle}/`))
  },

  'delete is fine as often as it is called': async shim => {
    await using subject = await Subject.running(shim, 'sleep 1000')
    process.kill(subject.shimPid, 'SIGKILL')
    await eventually(() => !alive(subject.shimPid), 'the end of the shim')
    for (let times = 0; times < 3; times++) assert.equal((await subject.run('delete')).code, 0)
  },

  'a shim without a container ends when it is told to': async shim => {
    await using subject = await Subject.running(shim, 'true')
    await subject.ended()
    await subject.api.delete({ id: subject.id })
    // It may be gone before it has answered.
    await subject.api.shutdown({ id: subject.id }).catch(() => {})
    await eventually(() => !alive(subject.shimPid), 'the end of the shim')
  },

  'a shim with a container stays when it is told to end': async shim => {
    await using subject = await Subject.running(shim, 'sleep 1000')
    await subject.api.shutdown({ id: subject.id }).catch(() => {})
    const { pid } = await soon(subject.api.state({ id: subject.id }), 'State')
    assert.ok(alive(subject.shimPid) && alive(pid))
  },
}

/** Process group: field 5 of proc_pid_stat(5), counted behind the name, which may hold anything. */
function groupOf(pid: number): string | undefined {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
  return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[2]
}
