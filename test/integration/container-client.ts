/** Containers of a daemon under test, over its gRPC API: what a tool does, without a tool. */

import { type Attachment, attach } from '#api/attach/attach-client.ts'
import { ContainersDefinition } from '#api/gen/containerd/services/containers/v1/containers.ts'
import { TasksDefinition } from '#api/gen/containerd/services/tasks/v1/tasks.ts'
import { type ContainerConfig, ContainersServiceDefinition } from '#api/gen/gantry/services/containers/v1/containers.ts'
import { type Channel, type Client, connect, createClient } from '#api/rpc/client.ts'
import type { Input } from '#api/rpc/definition.ts'
import type { Daemon } from '../daemon/daemon.ts'

export interface Output {
  stdout: string
  stderr: string
  /** Undefined: the connection ended before the process did. */
  exitCode: number | undefined
}

/** One running container, attached. */
export interface Running {
  id: string
  pid: number
  attachment: Attachment
  /** Everything it says, until it ends. */
  output(): Promise<Output>
}

export class ContainerClient implements Disposable {
  readonly channel: Channel
  readonly tasks: Client<typeof TasksDefinition>
  readonly records: Client<typeof ContainersDefinition>
  readonly launcher: Client<typeof ContainersServiceDefinition>

  constructor(daemon: Daemon, namespace = 'default') {
    this.channel = connect(daemon.address, { namespace })
    this.tasks = createClient(TasksDefinition, this.channel)
    this.records = createClient(ContainersDefinition, this.channel)
    this.launcher = createClient(ContainersServiceDefinition, this.channel)
  }

  [Symbol.dispose](): void {
    this.channel.close()
  }

  /** Records a container, creates its task, attaches and starts. */
  async start(config: Input<ContainerConfig>): Promise<Running> {
    const { id, paths } = await this.launcher.create({ config })
    const { pid } = await this.tasks.create({ containerId: id })
    const attachment = await this.attach(paths?.attachSocket ?? '', config.process?.stdin !== undefined)
    await this.tasks.start({ containerId: id })
    return { id, pid, attachment, output: () => collect(attachment) }
  }

  attach(socket: string, stdin = false, replay = false): Promise<Attachment> {
    return attach(socket, { stdin, stdout: true, stderr: true, replay })
  }

  /** Runs to the end and takes everything away. */
  async run(config: Input<ContainerConfig>): Promise<Output> {
    const running = await this.start(config)
    const output = await running.output()
    await this.remove(running.id)
    return output
  }

  /** Another process in a running container; deleted at its end. */
  async exec(id: string, args: string[], changes: object = {}): Promise<Output> {
    const execId = `e${process.hrtime.bigint()}`
    const { container } = await this.records.get({ id })
    const { process: own } = JSON.parse(container?.spec?.value.toString() ?? '{}')
    const value = Buffer.from(JSON.stringify({ ...own, args, ...changes }))
    const { paths } = await this.launcher.inspect({ id, execId })
    await this.tasks.exec({ containerId: id, execId, spec: { typeUrl: processType, value } })
    const attachment = await this.attach(paths?.attachSocket ?? '')
    await this.tasks.start({ containerId: id, execId })
    const output = await collect(attachment)
    await this.tasks.deleteProcess({ containerId: id, execId })
    return output
  }

  /** Deletes the stopped task, and the record. */
  async remove(id: string): Promise<void> {
    await this.tasks.delete({ containerId: id })
    await this.records.delete({ id })
  }

  /** Ends a running container and takes it away. */
  async end(id: string): Promise<void> {
    await this.tasks.kill({ containerId: id, signal: 9, all: true })
    await this.tasks.wait({ containerId: id })
    await this.remove(id)
  }
}

const processType = 'types.containerd.io/opencontainers/runtime-spec/1/Process'

export async function collect(attachment: Attachment): Promise<Output> {
  const output: Output = { stdout: '', stderr: '', exitCode: undefined }
  for await (const received of attachment.received) {
    if ('exit' in received) output.exitCode = received.exit.exitCode
    else output[received.stream] += received.bytes.toString()
  }
  await attachment[Symbol.asyncDispose]()
  return output
}
