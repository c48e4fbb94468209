/** A container that writes as fast as it can. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { Contestant, Row } from '../../row.ts'
import { type CtrSide, ctrRun } from '../../stage/containerd.ts'
import type { DockerSide } from '../../stage/docker-side.ts'
import { floor } from '../../stage/floors.ts'
import { busybox } from '../../stage/images.ts'
import type { PodmanSide } from '../../stage/podman-side.ts'
import type { Stage } from '../../stage/stage.ts'

const limitMs = 180_000
const line = 'a line of a log, as long as many of them are: 0123456789 abcdefghijklmnopqrstuvwxyz 0123456789 abcdef'

/** argv of a container's process that writes lines, that many bytes of them. */
export function writer(bytes: number): string[] {
  return ['sh', '-c', `busybox yes '${line}' | head -c ${bytes}`]
}

/** Into the daemon's log, json-file; then the log is read, and must have every byte. */
export function detached(sides: readonly DockerSide[], stage: Stage, mebibytes: number, rounds: number): Row {
  const bytes = mebibytes * 2 ** 20
  const contestants = sides.map((side): Contestant => {
    return {
      ...{ name: side.name, side },
      work: async () => {
        await side.command('run', '--detach', '--name', 'writer', '--network', 'none', busybox, ...writer(bytes))
        await side.command('wait', 'writer')
        return undefined
      },
      tidy: async () => {
        await expectBytes(side.argv('logs', 'writer'), side.env, bytes)
        await side.command('rm', '--force', 'writer')
      },
    }
  })
  const name = `a container writes ${mebibytes} MB to its log (json-file), detached`
  const file = join(stage.folder, 'copied')
  const kernel = floor(
    stage,
    'copy-pipe',
    async () => [`${bytes}`, file],
    () => rm(file, { force: true }),
  )
  const judged = { quick: true, limitMs, budget: { times: 10 } }
  return { name, rounds, warmUps: 1, ...judged, contestants: [...contestants, kernel] }
}

/** Into a pipe that the client writes to. */
export function attached(
  dockers: readonly DockerSide[],
  ctrs: readonly CtrSide[],
  podmans: readonly PodmanSide[],
  mebibytes: number,
  rounds: number,
): Row {
  const bytes = mebibytes * 2 ** 20
  let run = 0
  const contestants = [
    ...dockers.map((side): Contestant => {
      const argv = side.argv('run', '--rm', '--network', 'none', busybox, ...writer(bytes))
      return { name: side.name, side, work: () => expectBytes(argv, side.env, bytes) }
    }),
    ...ctrs.map((side): Contestant => {
      const argv = () => side.host.enter(side.ctr.argv(...ctrRun(`w${run++}`, ...writer(bytes))))
      const name = side.name === 'gantry' ? 'gantry by ctr' : side.name
      return { name, side, work: () => expectBytes(argv(), {}, bytes) }
    }),
    ...podmans.map((side): Contestant => {
      const argv = side.argv('run', '--rm', '--network', 'none', busybox, ...writer(bytes))
      return { name: side.name, side, work: () => expectBytes(argv, side.env, bytes) }
    }),
  ]
  const name = `a container writes ${mebibytes} MB, attached to a pipe`
  // Not in the short run: ctr's FIFOs are two copies shorter than docker's HTTP, whoever the daemon is.
  return { name, rounds, warmUps: 1, limitMs, budget: { times: 1 }, contestants }
}

/** Runs it, and throws unless it wrote so many bytes to its standard output. */
async function expectBytes(
  argv: readonly string[],
  env: Readonly<Record<string, string>>,
  bytes: number,
): Promise<undefined> {
  const [file = '', ...args] = argv
  const options = { timeout: limitMs, killSignal: 'SIGKILL', env: { ...process.env, ...env } } as const
  const child = spawn(file, args, { stdio: ['ignore', 'pipe', 'ignore'], ...options })
  let read = 0
  child.stdout.on('data', (chunk: Buffer) => {
    read += chunk.length
  })
  const [code] = await once(child, 'close')
  if (code !== 0) throw new Error(`${argv.join(' ')} ended with ${code}`)
  if (read !== bytes) throw new Error(`of ${bytes} bytes ${read} arrived`)
  return undefined
}
