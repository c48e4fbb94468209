/** Programs that do a row's work with bare system calls: `floor/*.c`, compiled for this run. */
import { execFile } from 'node:child_process'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { runCommand } from '../../../test/daemon/run-command.ts'
import { busyboxLayer, makeTar } from '../../../test/fixtures/make-image.ts'
import type { Contestant } from '../row.ts'
import { command } from '../run-command.ts'
import type { Stage } from './stage.ts'

const run = promisify(execFile)

export type FloorProgram = 'run-once' | 'join' | 'copy-pipe'

/** The program with the arguments of that round, as a contestant; out of the row, with the reason, where it cannot be compiled. */
export function floor(
  stage: Stage,
  program: FloorProgram,
  argv: (round: number) => Promise<readonly string[]>,
  tidy?: Contestant['tidy'],
): Contestant {
  let ready: readonly string[] = []
  const prepare = async (round: number) => {
    const path = await stage.once(`floor ${program}`, () => compile(stage.folder, program))
    ready = [path, ...(await argv(round))]
  }
  return { name: 'floor', prepare, work: () => command(ready), ...(tidy === undefined ? {} : { tidy }) }
}

/** A directory with busybox's files, as a layer is. */
export function floorRoot(stage: Stage): Promise<string> {
  return stage.once('floor root', async () => {
    const root = join(stage.folder, 'root')
    await mkdir(root)
    await writeFile(`${root}.tar`, makeTar(busyboxLayer()))
    const { code, stderr } = await runCommand(['tar', '-C', root, '-xf', `${root}.tar`])
    if (code !== 0) throw new Error(stderr)
    return root
  })
}

async function compile(folder: string, program: FloorProgram): Promise<string> {
  const source = fileURLToPath(new URL(`../floor/${program}.c`, import.meta.url))
  const path = join(folder, program)
  await run('gcc', ['-O2', '-Wall', '-o', path, source])
  return path
}
