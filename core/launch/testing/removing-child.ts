/**
 * Makes a container with a log that one follower has still to read, and removes it: a process that may be killed at any
 * step of it. Its successor opens the same folders and tells what the follower is offered.
 */

import { writeSync } from 'node:fs'
import { mkdir, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { ContainerConfig } from '#api/gen/gantry/services/containers/v1/containers.ts'
import type { Source } from '#api/gen/gantry/services/logs/v1/logs.ts'
import { createLogger } from '#api/log/log.ts'
import { openStore } from '#api/store/store.ts'
import { foldersIn } from '#api/sys/folders.ts'
import { ContainerStore } from '#core/containers/containers.ts'
import { Exchange } from '#core/events/events.ts'
import { LogBook } from '#core/logs/logs.ts'
import { Metadata } from '#core/metadata/metadata.ts'
import { ContainerNames } from '../container-names.ts'
import { LastRuns } from '../last-runs.ts'
import { launchConfigAny } from '../launch-config.ts'
import { LaunchedContainers } from '../launched-containers.ts'
import { placesUnder } from '../places.ts'

export interface RemovalOrder {
  folder: string
  /** Step behind which it is killed; absent: it comes to its end. */
  dieAt?: string
}

export const [ns, id, follower] = ['default', 'brief', 'reader']

/** The parts of a daemon that a removal comes by, on `folder`; each act of theirs is told. */
export function world(folder: string, step: (name: string) => void) {
  const store = openStore(join(folder, 'metadata'))
  const metadata = new Metadata(store)
  const exchange = new Exchange()
  class Records extends ContainerStore {
    override async delete(...args: Parameters<ContainerStore['delete']>) {
      await super.delete(...args)
      step('record')
    }
  }
  const records = new Records(metadata, exchange)
  const placesOf = placesUnder(folder, folder)
  const logs = new LogBook({
    metadata,
    containers: records,
    exchange,
    placesOf,
    containerFolders: () => foldersIn(join(folder, 'containers')),
    hasTask: () => false,
    folder: join(folder, 'departed-logs'),
    isInstalled: () => true,
    wakeDrivers: async () => {},
    logger: createLogger({ name: 'removal', level: 'silent' }),
  })
  const told =
    <Args extends unknown[], T>(name: string, act: (...args: Args) => Promise<T>) =>
    async (...args: Args) => {
      const result = await act(...args)
      step(name)
      return result
    }
  const containers = new LaunchedContainers({
    records,
    snapshots: { on: () => ({ remove: told('snapshot', async () => {}) }) },
    logs: {
      departing: told('announced', (...args) => logs.departing(...args)),
      depart: told('departed', (...args) => logs.depart(...args)),
    },
    lastRuns: new LastRuns(metadata),
    names: new ContainerNames(metadata),
    hasTask: () => false,
  })
  return { store, records, containers, logs, placesOf }
}

/** What `follower` is offered first. */
export async function offered(logs: LogBook): Promise<Source | undefined> {
  const stop = new AbortController()
  for await (const source of logs.follow(follower, false, stop.signal)) return source
  return undefined
}

async function main({ folder, dieAt }: RemovalOrder): Promise<void> {
  const { store, records, containers, logs, placesOf } = world(folder, name => {
    writeSync(1, `${name}\n`)
    if (name === dieAt) process.kill(process.pid, 'SIGKILL')
  })
  await logs.open()
  const { logFile } = placesOf(ns, id)
  await mkdir(dirname(logFile), { recursive: true })
  await writeFile(logFile, 'a line\n')
  const config = ContainerConfig.fromPartial({ image: 'none' })
  await records.create(ns, {
    id,
    runtime: { name: 'io.containerd.gantry.v1' },
    spec: { typeUrl: 'spec', value: Buffer.from('{}') },
    extensions: Object.fromEntries([launchConfigAny(config)].map(any => [any.typeUrl, any])),
  })
  await offered(logs)
  await containers.delete(ns, id)
  await store.close()
}

if (process.argv[1] === import.meta.filename) await main(JSON.parse(process.argv[2] ?? '{}'))
