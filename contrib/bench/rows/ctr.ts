/** containerd's own command, against containerd and against us. */
import type { Contestant, Group } from '../row.ts'
import { ctrRun, ctrSides } from '../stage/containerd.ts'

export const ctr: Group = {
  id: 'ctr',
  title: 'Beside containerd',
  quick: true,
  async open(stage) {
    let run = 0
    const sides = await ctrSides(stage)
    const contestants = sides.map((side): Contestant => {
      return { name: side.name, side, work: () => side.command(...ctrRun(`b${run++}`, 'true')) }
    })
    const name = '`ctr run --rm --net-host IMAGE true`'
    return [{ name, rounds: 30, budget: { times: 3 }, quick: true, contestants }]
  },
}
