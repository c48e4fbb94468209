/** The server's side of a run: one warm client, first request to exit event; the clean-up after it is not counted. */
import { ContainersDefinition } from '#api/gen/containerd/services/containers/v1/containers.ts'
import { TasksDefinition } from '#api/gen/containerd/services/tasks/v1/tasks.ts'
import { ContainersServiceDefinition } from '#api/gen/gantry/services/containers/v1/containers.ts'
import { connect, createClient } from '#api/rpc/client.ts'

export function serverSide(address: string, image: string): (network: string) => Promise<number> {
  const channel = connect(address, { namespace: 'default' })
  const ours = createClient(ContainersServiceDefinition, channel)
  const tasks = createClient(TasksDefinition, channel)
  const containers = createClient(ContainersDefinition, channel)
  return async network => {
    const start = performance.now()
    const { id } = await ours.create({ config: { image, process: { args: ['true'] }, networks: [{ network }] } })
    await tasks.create({ containerId: id })
    const exited = tasks.wait({ containerId: id })
    await tasks.start({ containerId: id })
    await exited
    const tookMs = performance.now() - start
    await tasks.delete({ containerId: id })
    await containers.delete({ id })
    return tookMs
  }
}
