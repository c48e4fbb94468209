/** Volumes and their drivers, wired. */
import { join } from 'node:path'
import { DockerPlugins } from '#sdk/docker-plugins/plugins.ts'
import type { Engine } from '../engine/engine.ts'
import { VolumeDrivers } from './drivers.ts'
import { LocalDriver } from './local-driver.ts'
import { VolumeStore } from './volume-record.ts'
import { VolumeUsers } from './volume-users.ts'
import { Volumes } from './volumes.ts'

export interface VolumeRoom {
  volumes: Volumes
  drivers: VolumeDrivers
  close(): Promise<void>
}

export async function openVolumes(engine: Engine): Promise<VolumeRoom> {
  const { root, state, config } = engine.settings
  const store = new VolumeStore(root)
  const plugins = new DockerPlugins(config.docker_plugin_folders)
  const drivers = new VolumeDrivers(new LocalDriver(store), plugins, engine.log)
  const users = new VolumeUsers(join(state, 'volume-users'))
  const volumes = new Volumes({ engine, store, users, drivers })
  await volumes.open()
  return { volumes, drivers, close: () => plugins[Symbol.asyncDispose]() }
}
