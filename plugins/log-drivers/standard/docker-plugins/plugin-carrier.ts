/** A driver that is a Docker log plugin: told of a FIFO, it reads LogEntry messages there. */
import { createHash } from 'node:crypto'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { notFound } from '#api/errors/errors.ts'
import type { Carrier, Identity } from '../carrier.ts'
import type { DriverPlace } from '../log-drivers.ts'
import { FifoWriter } from './fifo-writer.ts'
import { encodeEntries } from './log-entries.ts'

export async function openPluginCarrier(identity: Identity, { config, state, plugins }: DriverPlace): Promise<Carrier> {
  const { source } = identity
  const client = await plugins.find(source.driver, 'LogDriver')
  if (!client) throw notFound(`log plugin "${source.driver}" in ${config.docker_plugin_folders.join(', ')}`)
  await using undo = new AsyncDisposableStack()
  const file = join(state, `${createHash('sha256').update(source.file).digest('hex').slice(0, 24)}.fifo`)
  const writer = undo.adopt(await FifoWriter.make(file), made => made.close())
  undo.defer(() => rm(file, { force: true }))
  // Many plugins answer when they have opened the FIFO, which waits for us to do so.
  await Promise.all([client.call('LogDriver.StartLogging', { File: file, Info: infoOf(identity) }), writer.open()])
  const held = undo.move()
  return {
    send: lines => writer.write(encodeEntries(lines)),
    async close() {
      // It reads what is in the FIFO before it answers, or before it sees the FIFO's end.
      await writer.close()
      await client.call('LogDriver.StopLogging', { File: file }).catch(() => {})
      await held.disposeAsync()
    },
  }
}

/** Docker's logger.Info. */
function infoOf({ source, subject }: Identity): object {
  const { createdAt, command = '' } = source.subject ?? {}
  const [entrypoint = '', ...args] = command.split(' ')
  return {
    Config: source.options,
    ContainerID: subject.id,
    ContainerName: `/${subject.name}`,
    ContainerEntrypoint: entrypoint,
    ContainerArgs: args,
    ContainerImageID: subject.imageId,
    ContainerImageName: subject.imageName,
    ContainerCreated: new Date(Number(createdAt?.seconds ?? 0n) * 1000).toISOString(),
    ContainerEnv: subject.env,
    ContainerLabels: subject.labels,
    LogPath: source.file,
    DaemonName: 'docker',
  }
}
