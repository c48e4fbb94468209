/**
 * A shim killed in each state its container can be in: whoever the daemon and whosever the shim, the daemon notices, the
 * runtime's `delete` cleans up, 137 is told, and no process, mount, cgroup or bundle is left.
 */
import assert from 'node:assert/strict'
import { existsSync, globSync } from 'node:fs'
import { copyFile, mkdir, readFile, rmdir, symlink } from 'node:fs/promises'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { TaskExit } from '#api/gen/containerd/events/task.ts'
import { ContainersDefinition } from '#api/gen/containerd/services/containers/v1/containers.ts'
import { EventsDefinition } from '#api/gen/containerd/services/events/v1/events.ts'
import { TasksDefinition } from '#api/gen/containerd/services/tasks/v1/tasks.ts'
import type { Status } from '#api/gen/containerd/types/task/task.ts'
import { type Channel, connect, createClient } from '#api/rpc/client.ts'
import { Daemon } from '../daemon/daemon.ts'
import { eventually } from './container-verbs.ts'
import { debian, lacking, removeCgroup } from './ctr.ts'
import { DebianContainerd } from './debian-containerd.ts'

const ours = 'io.containerd.gantry.v1'
const runcs = 'io.containerd.runc.v2'
const shim = join(import.meta.dirname, '../../build/bin/containerd-shim-gantry-v1')
const states = ['created', 'running', 'paused', 'executing', 'stopped'] as const
/** Of this run alone: runc keeps its state on the host by namespace and id. */
const namespace = `deaths-${process.pid}`
const typeUrl = 'types.containerd.io/opencontainers/runtime-spec/1/Spec'

test('our shim under Debian’s containerd', { skip: lacking(debian.containerd, shim) }, async t => {
  await using containerd = await DebianContainerd.start()
  await dies(
    t,
    { folder: containerd.folder, state: join(containerd.folder, 'state'), address: containerd.address },
    ours,
  )
})

test('runc’s shim under us', { skip: lacking(debian.runcShim, debian.runc) }, async t => {
  await using daemon = await Daemon.start({ config: '[containers]\nruntimes = {}\n' })
  await dies(t, daemon, runcs)
  // Where runc's shim keeps runc's state.
  await rmdir(join('/run/containerd/runc', namespace)).catch(() => {})
})

test('our shim under us', { skip: lacking(shim) }, async t => {
  await using daemon = await Daemon.start()
  await dies(t, daemon, ours)
})

interface World {
  folder: string
  state: string
  address: string
}

async function dies(t: TestContext, { folder, state, address }: World, runtime: string): Promise<void> {
  const root = await makeRoot(folder)
  const parent = `gantry-deaths-${process.pid}`
  const channel = connect(address, { namespace })
  const stop = new AbortController()
  const exits: TaskExit[] = []
  const listening = listen(channel, exits, stop.signal)
  try {
    for (const wanted of states) {
      await t.test(wanted, async () => {
        const container = new Mortal(channel, { id: `is-${wanted}`, runtime, root, parent })
        const pid = await container.bringTo(wanted)
        container.shootShim()
        await eventually(async () => assert.equal(await container.status(), undefined))
        const end = () => exits.findLast(exit => exit.containerId === container.id && exit.id === container.id)
        await eventually(async () => assert.equal(end()?.exitStatus, wanted === 'stopped' ? end()?.exitStatus : 137))
        await eventually(async () => assert.deepEqual(await container.traces(pid, state), []))
        await container.forget()
      })
    }
  } finally {
    stop.abort()
    await listening
    channel.close()
    await removeCgroup(parent)
  }
}

async function makeRoot(folder: string): Promise<string> {
  const root = join(folder, 'root')
  for (const name of ['bin', 'proc', 'dev']) await mkdir(join(root, name), { recursive: true })
  await copyFile('/bin/busybox', join(root, 'bin/busybox'))
  await symlink('busybox', join(root, 'bin/sleep'))
  return root
}

async function listen(channel: Channel, exits: TaskExit[], signal: AbortSignal): Promise<void> {
  const envelopes = createClient(EventsDefinition, channel).subscribe({ filters: ['topic=="/tasks/exit"'] }, { signal })
  try {
    for await (const { event } of envelopes) if (event) exits.push(TaskExit.decode(event.value))
  } catch (error) {
    if (!signal.aborted) throw error
  }
}

interface Wish {
  id: string
  runtime: string
  root: string
  /** Cgroup above that of the container. */
  parent: string
}

class Mortal {
  readonly id: string
  readonly #wish: Wish
  readonly #channel: Channel
  #shim = 0

  constructor(channel: Channel, wish: Wish) {
    this.#channel = channel
    this.#wish = wish
    this.id = wish.id
  }

  get #tasks() {
    return createClient(TasksDefinition, this.#channel)
  }

  async bringTo(state: (typeof states)[number]): Promise<number> {
    const { id, runtime: name } = this.#wish
    const containerId = id
    const args = state === 'stopped' ? ['/bin/sleep', '0'] : ['/bin/sleep', '1000']
    const value = Buffer.from(JSON.stringify(this.#spec(args)))
    const container = { id, runtime: { name }, spec: { typeUrl, value } }
    await createClient(ContainersDefinition, this.#channel).create({ container })
    const { pid } = await this.#tasks.create({ containerId })
    this.#shim = Number(/^PPid:\s*(\d+)$/m.exec(await readFile(`/proc/${pid}/status`, 'utf8'))?.[1])
    assert.match(await readFile(`/proc/${this.#shim}/cmdline`, 'utf8'), /containerd-shim/)
    if (state === 'created') return pid
    await this.#tasks.start({ containerId })
    if (state === 'paused') await this.#tasks.pause({ containerId })
    if (state === 'executing') await this.#exec()
    if (state === 'stopped') await this.#tasks.wait({ containerId })
    return pid
  }

  #spec(args: string[]): { process: object } {
    return {
      ociVersion: '1.1.0',
      root: { path: this.#wish.root },
      process: { args, cwd: '/', user: { uid: 0, gid: 0 }, env: ['PATH=/bin'] },
      mounts: [{ destination: '/proc', type: 'proc', source: 'proc' }],
      linux: {
        cgroupsPath: `/${this.#wish.parent}/${this.id}`,
        namespaces: [{ type: 'mount' }, { type: 'pid' }],
      },
    } as { process: object }
  }

  async #exec(): Promise<void> {
    const ids = { containerId: this.id, execId: 'e' }
    const { process: own } = this.#spec(['/bin/sleep', '1000'])
    const value = Buffer.from(JSON.stringify(own))
    const spec = { typeUrl: 'types.containerd.io/opencontainers/runtime-spec/1/Process', value }
    await this.#tasks.exec({ ...ids, spec })
    await this.#tasks.start(ids)
  }

  shootShim(): void {
    process.kill(this.#shim, 'SIGKILL')
  }

  /** Undefined: there is no task. */
  async status(): Promise<Status | undefined> {
    const { tasks } = await this.#tasks.list({})
    return tasks.find(({ id }) => id === this.id)?.status
  }

  async traces(pid: number, state: string): Promise<string[]> {
    const bundle = join(state, 'io.containerd.runtime.v2.task', namespace, this.id)
    const mounts = (await readFile('/proc/self/mountinfo', 'utf8')).split('\n').filter(line => line.includes(bundle))
    const groups = globSync(`/sys/fs/cgroup/{*/,}${this.#wish.parent}/${this.id}`)
    const alive = [pid, this.#shim].filter(one => existsSync(`/proc/${one}`)).map(one => `process ${one}`)
    return [...mounts, ...groups, ...alive, ...(existsSync(bundle) ? [bundle] : [])]
  }

  async forget(): Promise<void> {
    await createClient(ContainersDefinition, this.#channel).delete({ id: this.id })
  }
}
