/** One container by podman: by its command, and by the API that its service and we speak. */
import type { Contestant, Group, Row, Side } from '../row.ts'
import { DockerApi } from '../stage/docker-api.ts'
import { busybox } from '../stage/images.ts'
import { PodmanSide } from '../stage/podman-side.ts'

export const podman: Group = {
  id: 'podman',
  title: 'Beside podman',
  async open(stage, scope) {
    const sides = await stage.dockers('gantry')
    const [command] = await stage.available(['podman'] as const, () => PodmanSide.start(stage))
    const served = command === undefined ? sides : [...sides, await command.serve(stage, scope)]
    return ['none', 'bridge'].map(network => run(served, command, network, scope))
  },
}

type Served = Side & { readonly socket: string }

function run(
  served: readonly Served[],
  command: PodmanSide | undefined,
  network: string,
  scope: AsyncDisposableStack,
): Row {
  const byRequests = served.map((side): Contestant => {
    const api = scope.use(new DockerApi(side.socket))
    return { name: side.name, side, work: () => runOnce(api, network) }
  })
  const contestants = [...byRequests, ...(command === undefined ? [] : [byCommand(command, network)])]
  const name = `a container by Docker's REST API; \`podman run --rm\`, ${network}`
  return { name, rounds: 20, budget: { times: 4 }, contestants }
}

function byCommand(side: PodmanSide, network: string): Contestant {
  const work = () => side.run('--rm', '--network', network === 'bridge' ? 'podman' : network, busybox, 'true')
  return { name: 'podman run', side, work }
}

async function runOnce(api: DockerApi, network: string): Promise<undefined> {
  const id = await api.run({ Image: busybox, Cmd: ['true'], HostConfig: { NetworkMode: network } })
  const { StatusCode } = await api.call<{ StatusCode: number }>('POST', `/containers/${id}/wait`)
  if (StatusCode !== 0) throw new Error(`true ended with ${StatusCode}`)
  await api.call('DELETE', `/containers/${id}`)
  return undefined
}
