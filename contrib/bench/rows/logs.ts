/** What containers write: into the log, into a pipe, and out of the log again. */
import type { Group } from '../row.ts'
import { ctrSides } from '../stage/containerd.ts'
import { PodmanSide } from '../stage/podman-side.ts'
import { readings } from './logs/readings.ts'
import { attached, detached } from './logs/writings.ts'

export const logs: Group = {
  id: 'logs',
  title: 'Logs',
  quick: true,
  async open(stage, scope) {
    const dockers = await stage.dockers('gantry', 'dockerd')
    const ctrs = await ctrSides(stage)
    const podmans = await stage.available(['podman'] as const, () => PodmanSide.start(stage))
    const mebibytes = stage.small ? 16 : 256
    const rounds = stage.small ? 7 : 5
    return [
      detached(dockers, stage, mebibytes, rounds),
      attached(dockers, ctrs, podmans, mebibytes, rounds),
      ...readings(dockers, stage, scope),
    ]
  },
}
