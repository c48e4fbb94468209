/** Sides of `ctr`: Debian's containerd, and us behind the same command. */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { Ctr, debian } from '../../../test/interop/ctr.ts'
import { DebianContainerd } from '../../../test/interop/debian-containerd.ts'
import type { Side } from '../row.ts'
import { command } from '../run-command.ts'
import { Gantry } from './gantry.ts'
import { busybox, busyboxLayout } from './images.ts'
import type { Place, Stage } from './stage.ts'

export type ContainerdName = 'gantry' | 'containerd'

export interface CtrSide extends Side, Place {
  readonly ctr: Ctr
  /** `ctr` in the side's network, to its end. */
  command(...args: string[]): Promise<undefined>
}

const snapshotter = ['--snapshotter', 'overlayfs']

/** Those that came up, with `busybox` imported and unpacked. */
export function ctrSides(stage: Stage): Promise<CtrSide[]> {
  return stage.available(['gantry', 'containerd'] as const, name =>
    stage.once(`ctr ${name}`, scope => start(name, stage, scope)),
  )
}

async function start(name: ContainerdName, stage: Stage, scope: AsyncDisposableStack): Promise<CtrSide> {
  if (!existsSync(debian.ctr)) throw new Error(`${debian.ctr} is not installed (containerd)`)
  const place = await stage.place(`ctr-${name}`, scope)
  const address = await serve(name, place, scope)
  const ctr = scope.use(new Ctr(address, join(stage.folder, `ctr-${name}`), `bench-${process.pid}-${name}`))
  place.account.include(`/${ctr.namespace}`, 'none')
  const layout = await stage.once('busybox layout', () => busyboxLayout(stage.folder))
  await ctr.ok('images', 'import', ...snapshotter, layout)
  const run = (...args: string[]) => command(place.host.enter(ctr.argv(...args)))
  return { name, ctr, command: run, ...place }
}

async function serve(name: ContainerdName, place: Place, scope: AsyncDisposableStack): Promise<string> {
  if (name === 'gantry') return scope.use(await Gantry.start(place)).daemon.address
  if (!existsSync(debian.containerd)) throw new Error(`${debian.containerd} is not installed (containerd)`)
  const prefix = place.host.enter(place.account.enter([]))
  return scope.use(await DebianContainerd.start({ prefix })).address
}

/** argv of `ctr run --rm --net-host` of busybox. */
export function ctrRun(id: string, ...command: string[]): string[] {
  return ['run', '--rm', '--net-host', ...snapshotter, busybox, id, ...command]
}
