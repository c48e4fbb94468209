/**
 * What a container must be on a host with cgroup v2 and systemd, with either cgroup driver: through gctr, a real gantryd
 * and its shim; judged by the kernel's files and by systemd.
 */
import assert from 'node:assert/strict'
import { globSync, statSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { after, before, test } from 'node:test'
import { TaskOOM } from '#api/gen/containerd/events/task.ts'
import { EventsDefinition } from '#api/gen/containerd/services/events/v1/events.ts'
import { Status } from '#api/gen/containerd/types/task/task.ts'
import { createClient } from '#api/rpc/client.ts'
import { processAlive } from '#api/sys/sys.ts'
import { Daemon } from '../daemon/daemon.ts'
import { ContainerClient } from '../integration/container-client.ts'
import { requireGone } from '../integration/leftovers.ts'
import { ControlGroup, eventually, unitProperties } from './control-group.ts'

export type CgroupDriver = 'cgroupfs' | 'systemd'

/** The name of a daemon's groups begins so; the test's own service is `gantry-test`. */
const daemonGroups = '/sys/fs/cgroup/{,system.slice/}gantry-[0-9a-f]*'

export function containerSuite(driver: CgroupDriver): void {
  let daemon: Daemon
  let image: string
  let earlierGroups: string[]
  let ended = false

  before(async () => {
    earlierGroups = globSync(daemonGroups)
    daemon = await Daemon.start({ config: `[containers]\ncgroup_driver = "${driver}"\n` })
    image = await daemon.importBusybox()
  })
  after(async () => {
    if (!ended) await daemon?.[Symbol.asyncDispose]()
  })

  /** `gctr`, which must succeed; what it printed. */
  const gctr = async (...args: string[]): Promise<string> => {
    const { code, stdout, stderr } = await daemon.run(...args)
    assert.equal(code, 0, `gctr ${args.join(' ')}: ${stderr}\n${daemon.log.slice(-2000)}`)
    return stdout
  }
  const start = async (id: string, flags: string[], ...command: string[]): Promise<number> => {
    await gctr('run', '-d', '--name', id, '--net', 'none', ...flags, image, ...command)
    return (await taskOf(id)).pid
  }
  const taskOf = async (id: string) => {
    using client = new ContainerClient(daemon)
    const { process } = await client.tasks.get({ containerId: id })
    return { status: process?.status, pid: process?.pid ?? 0 }
  }
  /** Takes it away, and asks for no trace: files, mounts, shim, group, unit. */
  const remove = async (id: string, group: ControlGroup): Promise<void> => {
    await gctr('containers', 'rm', '--force', id)
    await requireTraceless(id, group)
  }
  const requireTraceless = async (id: string, group: ControlGroup): Promise<void> => {
    await requireGone(daemon, id)
    await eventually(`${group.path} is gone`, () => !group.exists)
    if (driver === 'systemd')
      assert.deepEqual(await unitProperties(unitOf(group), 'LoadState'), { LoadState: 'not-found' })
  }

  test(`${driver}: output and exit code come through`, async () => {
    const { code, stdout, stderr } = await daemon.run(
      ...['run', '--rm', '--net', 'none', image, 'sh', '-c', 'echo out; echo err >&2; exit 7'],
    )
    assert.deepEqual({ code, stdout, stderr }, { code: 7, stdout: 'out\n', stderr: 'err\n' })
  })

  test(`${driver}: limits hold outside and show inside; figures are v2's; an exec joins; pause freezes`, async () => {
    const pid = await start('limits', ['--memory', '64m', '--cpus', '0.5', '--pids-limit', '42'], 'sleep', '1000')
    const group = await ControlGroup.of(pid)
    const place = {
      cgroupfs: /^\/gantry-[0-9a-f]+\/default\/limits$/,
      systemd: /^\/system\.slice\/gantry-[0-9a-f]+-default-limits\.scope$/,
    }
    assert.match(group.path, place[driver])
    const limits = { 'memory.max': '67108864', 'cpu.max': '50000 100000', 'pids.max': '42' }
    for (const [file, value] of Object.entries(limits)) assert.equal(await group.read(file), value, file)
    if (driver === 'systemd') await requireScope(group)

    const inside = Object.keys(limits).map(file => `/sys/fs/cgroup/${file}`)
    const seen = await gctr(
      ...['tasks', 'exec', 'limits', 'sh', '-c'],
      `cat ${inside.join(' ')} /proc/self/cgroup; mkdir /sys/fs/cgroup/x || echo refused`,
    )
    assert.match(seen, new RegExp(`^${Object.values(limits).join('\n')}\n0::/\n`))
    assert.match(seen, /refused\n$/)

    await gctr('tasks', 'exec', '--detach', 'limits', 'sleep', '999')
    await eventually('the exec is in the group', async () => (await group.processes()).length === 2)
    const { version, memory, pids } = JSON.parse(await gctr('--format', 'json', 'tasks', 'metrics', 'limits'))
    assert.equal(version, 2)
    assert.deepEqual(
      [memory.usageLimit, pids.current, pids.limit].map(Number),
      [67_108_864, 2, 42],
      JSON.stringify({ memory, pids }),
    )
    assert.ok(Number(memory.usage) > 0)

    await gctr('tasks', 'pause', 'limits')
    assert.equal(await group.read('cgroup.freeze'), '1')
    assert.match(await group.read('cgroup.events'), /^frozen 1$/m)
    assert.equal((await taskOf('limits')).status, Status.PAUSED)
    await gctr('tasks', 'resume', 'limits')
    assert.match(await group.read('cgroup.events'), /^frozen 0$/m)
    assert.equal((await taskOf('limits')).status, Status.RUNNING)
    await remove('limits', group)
  })

  test(`${driver}: who takes more memory than allowed is killed: 137, and an event`, async () => {
    using client = new ContainerClient(daemon)
    const leave = new AbortController()
    const events = createClient(EventsDefinition, client.channel).subscribe(
      { filters: ['topic=="/tasks/oom"'] },
      { signal: leave.signal },
    )
    const told = (async () => {
      for await (const { event } of events) return TaskOOM.decode(event?.value ?? Buffer.alloc(0)).containerId
    })()
    const greedy = ['busybox', 'dd', 'if=/dev/zero', 'of=/dev/null', 'bs=256M', 'count=1']
    const flags = ['--name', 'greedy', '--net', 'none', '--memory', '16m']
    assert.equal((await daemon.run('run', '--rm', ...flags, image, ...greedy)).code, 137)
    assert.equal(await told, 'greedy')
    leave.abort()
    await requireGone(daemon, 'greedy')
  })

  test(`${driver}: devices are those of the container: others are refused by the kernel`, async () => {
    const { rdev } = statSync('/dev/vdb')
    const [major, minor] = [(rdev >> 8) & 0xfff, (rdev & 0xff) | ((rdev >> 12) & 0xfff00)]
    const script = [
      'busybox mknod /own-null c 1 3 && echo > /own-null && echo null',
      `busybox mknod /disk b ${major} ${minor}; busybox dd if=/disk of=/dev/null bs=512 count=1`,
      'busybox mknod /kmsg c 1 11 && head -n 1 /kmsg',
    ].join('\n')
    const run = ['run', '--rm', '--net', 'none']
    const { stdout, stderr } = await daemon.run(...run, image, 'sh', '-c', script)
    assert.equal(stdout, 'null\n')
    assert.match(stderr, /dd: can't open '\/disk': Operation not permitted/)
    assert.match(stderr, /head: \/kmsg: Operation not permitted/)

    const read = ['busybox', 'dd', 'if=/dev/vdb', 'of=/dev/null', 'bs=512', 'count=1']
    await gctr(...run, '--device', '/dev/vdb:/dev/vdb:r', image, ...read)
    const write = await daemon.run(
      ...[...run, '--device', '/dev/vdb:/dev/vdb:r', image],
      ...['sh', '-c', ': >> /dev/vdb'],
    )
    assert.match(write.stderr, /Operation not permitted/)
  })

  test(`${driver}: gantryd is killed and comes again: the container goes on, in its group, with its limits`, async () => {
    const pid = await start('stays', ['--memory', '64m'], 'sh', '-c', 'trap "exit 5" TERM; while :; do sleep 0.2; done')
    const group = await ControlGroup.of(pid)
    await daemon.kill()
    assert.ok(processAlive(pid))
    await daemon.start()
    assert.deepEqual(await taskOf('stays'), { status: Status.RUNNING, pid })
    assert.equal((await ControlGroup.of(pid)).path, group.path)
    assert.equal(await group.read('memory.max'), '67108864')
    await gctr('tasks', 'kill', '--signal', 'TERM', 'stays')
    assert.equal((await daemon.run('tasks', 'wait', 'stays')).code, 5)
    await remove('stays', group)
  })

  test(`${driver}: the shim is killed: its container, group and scope go with it`, async () => {
    const pid = await start('orphan', [], 'sleep', '1000')
    const group = await ControlGroup.of(pid)
    const [, shim] = /^PPid:\s*(\d+)$/m.exec(await readFile(`/proc/${pid}/status`, 'utf8')) ?? []
    process.kill(Number(shim), 'SIGKILL')
    await eventually('the container is gone', () => !processAlive(pid))
    await remove('orphan', group)
  })

  test(`${driver}: a container that cannot start leaves no group`, async () => {
    const { code, stderr } = await daemon.run('run', '--rm', '--name', 'absent', '--net', 'none', image, '/no/such')
    assert.equal(code, 127, stderr)
    assert.match(stderr, /\/no\/such/)
    await requireGone(daemon, 'absent')
    assert.deepEqual(globSync(`/sys/fs/cgroup/**/*absent*`), [])
  })

  test(`${driver}: after all of it the host has no group, scope or mount of ours`, async () => {
    ended = true
    await daemon[Symbol.asyncDispose]()
    const groups = globSync(daemonGroups).filter(path => !earlierGroups.includes(path))
    assert.deepEqual(groups, [])
    assert.ok(!(await readFile('/proc/self/mountinfo', 'utf8')).includes(daemon.folder))
  })
}

/** A transient scope (systemd.scope(5)) with the limits that were asked for. */
async function requireScope(group: ControlGroup): Promise<void> {
  const wanted = {
    ActiveState: 'active',
    Transient: 'yes',
    MemoryMax: '67108864',
    TasksMax: '42',
    CPUQuotaPerSecUSec: '500ms',
    ControlGroup: group.path,
  }
  assert.deepEqual(await unitProperties(unitOf(group), ...Object.keys(wanted)), wanted)
}

function unitOf({ path }: ControlGroup): string {
  return path.split('/').at(-1) ?? ''
}
