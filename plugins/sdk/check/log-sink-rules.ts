/** The rules for log sinks: containers write at a core, and what the sink kept is looked at by a command of its author's. */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { ContainersDefinition } from '#api/gen/containerd/services/containers/v1/containers.ts'
import { TasksDefinition } from '#api/gen/containerd/services/tasks/v1/tasks.ts'
import { ContainersServiceDefinition } from '#api/gen/gantry/services/containers/v1/containers.ts'
import { type Channel, connect, createClient } from '#api/rpc/client.ts'
import type { Rule } from './rule.ts'

export interface LogSinkPlace {
  /** Address of the gantryd whose containers it reads. */
  readonly core: string
  /** With a shell. */
  readonly image: string
  /** Shell command that prints what the sink kept, in whatever form: lines are looked for in it. */
  readonly read: string
  readonly namespace: string
}

const keptMs = 30_000
const pollMs = 100
const maxKeptBytes = 256 * 1024 * 1024
const many = 300

export function logSinkRules(place: LogSinkPlace): Rule[] {
  return Object.entries(checks).map(([text, check]) => ({
    text,
    async check() {
      using channel = connect(place.core, { namespace: place.namespace })
      await check({ place, channel, mark: `m${randomBytes(6).toString('hex')}` })
    },
  }))
}

interface Bench {
  readonly place: LogSinkPlace
  readonly channel: Channel
  /** In every line of this check, and in no other. */
  readonly mark: string
}

const checks: Readonly<Record<string, (bench: Bench) => Promise<void>>> = {
  'every line arrives once, in its order': async bench => {
    await using _ = await written(bench, `i=0; while [ $i -lt ${many} ]; do i=$((i+1)); echo "${bench.mark}-$i."; done`)
    const found = await kept(bench, lines => lines.length >= many)
    assert.deepEqual(
      found,
      Array.from({ length: many }, (_, index) => `${bench.mark}-${index + 1}.`),
    )
  },

  'standard output and error both arrive': async bench => {
    await using _ = await written(bench, `echo "${bench.mark}-1."; echo "${bench.mark}-2." >&2`)
    assert.deepEqual((await kept(bench, lines => lines.length >= 2)).sort(), [`${bench.mark}-1.`, `${bench.mark}-2.`])
  },

  'a last line without an end arrives': async bench => {
    await using _ = await written(bench, `printf "${bench.mark}-1."`)
    assert.deepEqual(await kept(bench, lines => lines.length >= 1), [`${bench.mark}-1.`])
  },

  'containers at the same time do not mix their lines up': async bench => {
    const script = (from: number) => `for i in 1 2 3 4 5 6 7 8 9; do echo "${bench.mark}-${from}$i."; sleep 0.02; done`
    await using stack = new AsyncDisposableStack()
    for (const one of await Promise.all([1, 2].map(from => written(bench, script(from))))) stack.use(one)
    const found = await kept(bench, lines => lines.length >= 18)
    for (const from of [1, 2])
      assert.deepEqual(
        found.filter(line => line.startsWith(`${bench.mark}-${from}`)),
        Array.from({ length: 9 }, (_, index) => `${bench.mark}-${from}${index + 1}.`),
      )
  },
}

/** Runs a container to its end; disposed of, it is gone, and with it what nobody has read. */
async function written({ place, channel }: Bench, script: string): Promise<AsyncDisposable> {
  const tasks = createClient(TasksDefinition, channel)
  const id = `check-${randomBytes(6).toString('hex')}`
  const process = { args: ['sh', '-c', script] }
  const config = { id, image: place.image, networks: [{ network: 'none' }], process }
  await using undo = new AsyncDisposableStack()
  await createClient(ContainersServiceDefinition, channel).create({ config })
  undo.defer(async () => void (await createClient(ContainersDefinition, channel).delete({ id })))
  await tasks.create({ containerId: id })
  const waiting = tasks.wait({ containerId: id })
  await tasks.start({ containerId: id })
  assert.equal((await waiting).exitStatus, 0, 'the container that writes')
  undo.defer(async () => void (await tasks.delete({ containerId: id })))
  return undo.move()
}

/** The marked words that the sink kept, as soon as there are enough, and what came a moment later. */
async function kept({ place, mark }: Bench, enough: (lines: string[]) => boolean): Promise<string[]> {
  const run = promisify(execFile)
  const look = async () => {
    const { stdout } = await run('/bin/sh', ['-c', place.read], { maxBuffer: maxKeptBytes })
    return stdout.match(new RegExp(`${mark}-\\d+\\.`, 'g')) ?? []
  }
  for (const deadline = Date.now() + keptMs; !enough(await look()); await sleep(pollMs))
    if (Date.now() > deadline) return await look()
  await sleep(pollMs)
  return await look()
}
