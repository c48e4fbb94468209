/** A bundle from create to delete by the library our shim is made of, beside OCI runtimes: no daemon anywhere. */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Contestant, Group } from '../row.ts'
import { command } from '../run-command.ts'
import { runcBundle } from '../runc-bundle.ts'

/** Made by contrib/bootstrap/bench.sh. */
const ours = fileURLToPath(new URL('../../../shim-native/target/release/examples/run_bundle', import.meta.url))

export const bundle: Group = {
  id: 'bundle',
  title: 'A bare bundle',
  async open(stage) {
    const folder = await runcBundle(join(stage.folder, 'bundle'))
    const runtime = (name: string): Contestant => {
      const state = join(stage.folder, `state-${name}`)
      return { name, work: () => command([name, '--root', state, 'run', '--bundle', folder, 'bench']) }
    }
    const work = async () => {
      if (!existsSync(ours)) throw new Error(`${ours} is not built (npm run bench builds it)`)
      return command([ours, folder])
    }
    const contestants = [{ name: 'gantry', work }, runtime('runc'), runtime('crun')]
    const name = 'create, start, delete of a bundle (`true`, host network)'
    return [{ name, rounds: 30, budget: { times: 4, atMost: 6 }, contestants }]
  },
}
