/** What has to be true of a checkpoint and of what goes on from it, for any daemon and any runtime, where CRIU works. */
import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { mkdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type ContainerWorld, eventually } from './container-verbs.ts'

/** The verbs whose parts make one image: `ctr containers checkpoint`'s flags. */
export const everything = ['--image', '--rw', '--task']

/** Counts in a file of the container's own, in one of the host's, and in a variable that only a checkpoint keeps. */
const counting = 'i=0; while :; do i=$((i+1)); echo $i > /own; echo $i > /out/count; sleep 0.1; done'

export class Counter {
  readonly world: ContainerWorld
  readonly id: string

  constructor(world: ContainerWorld, id: string) {
    this.world = world
    this.id = id
  }

  /** Starts it; it counts. */
  async start(...flags: string[]): Promise<void> {
    const { ctr, image, folder, flags: runtime } = this.world
    await mkdir(join(folder, 'out'), { recursive: true })
    const mount = ['--mount', `type=bind,src=${join(folder, 'out')},dst=/out,options=rbind:rw`]
    await ctr.ok('run', '-d', ...runtime, ...mount, ...flags, image, this.id, 'sh', '-c', counting)
    await this.counts(0)
  }

  async reached(): Promise<number> {
    return Number(await readFile(join(this.world.folder, 'out', 'count'), 'utf8').catch(() => '0'))
  }

  /** Sees it get a little further than `from`, but not there by beginning anew. */
  async counts(from: number): Promise<void> {
    await eventually(async () => assert.ok((await this.reached()) > from + 3, `it does not count on from ${from}`))
  }

  async status(): Promise<string | undefined> {
    return new RegExp(`^${this.id}\\s+\\d+\\s+(\\S+)`, 'm').exec(await this.world.ctr.ok('tasks', 'ls'))?.[1]
  }

  async remove(): Promise<void> {
    await this.world.ctr.outcome(['tasks', 'rm', '--force', this.id])
    await this.world.ctr.ok('containers', 'rm', this.id)
  }
}

/** An image of a running container, and a container that goes on from it. */
export async function freezeAndGoOn(world: ContainerWorld): Promise<void> {
  const { ctr } = world
  const counter = new Counter(world, 'counts')
  await counter.start('--null-io')
  await ctr.ok('containers', 'checkpoint', ...everything, 'counts', 'x/frozen:1')
  const frozen = await counter.reached()
  await counter.counts(frozen)
  await counter.remove()
  const reached = await counter.reached()
  assert.ok(reached > frozen)
  const again = new Counter(world, 'again')
  await ctr.ok('containers', 'restore', '--rw', '--live', 'again', 'x/frozen:1')
  assert.equal(await again.status(), 'RUNNING')
  await again.counts(reached)
  await behavesLikeAnyOther(again)
  await again.remove()
}

/** The restored one is exec'd into, paused, measured and killed as if it had been started. */
async function behavesLikeAnyOther(counter: Counter): Promise<void> {
  const { ctr } = counter.world
  const exec = ['tasks', 'exec', '--exec-id', 'e', '--fifo-dir', ctr.fifos, counter.id]
  const { stdout, stderr } = await ctr.outcome([...exec, 'sh', '-c', 'cat /own; cat /proc/1/comm'])
  assert.match(stdout, /^\d+\nsh\n$/, stderr)
  await ctr.ok('tasks', 'pause', counter.id)
  assert.equal(await counter.status(), 'PAUSED')
  await ctr.ok('tasks', 'resume', counter.id)
  assert.match(await ctr.ok('tasks', 'metrics', counter.id), /pids\.current\s+[1-9]/)
  await ctr.ok('tasks', 'kill', '--signal', 'SIGKILL', counter.id)
  await eventually(async () => assert.equal(await counter.status(), 'STOPPED'))
  assert.match((await ctr.outcome(['tasks', 'rm', counter.id])).stderr, /exit code 137/)
}

/** `--exit` ends the task; `--image-path` leaves the images where they are wanted, and no scratch files elsewhere. */
export async function freezeAndEnd(world: ContainerWorld): Promise<void> {
  const { ctr, folder } = world
  const counter = new Counter(world, 'ends')
  await counter.start('--null-io')
  const images = join(folder, 'images')
  await ctr.ok('tasks', 'checkpoint', '--exit', '--image-path', images, 'ends')
  await eventually(async () => assert.equal(await counter.status(), 'STOPPED'))
  for (const name of ['inventory.img', 'descriptors.json']) assert.ok(existsSync(join(images, name)), name)
  assert.equal(existsSync(join(images, 'dump.log')), false)
  await counter.remove()
}
