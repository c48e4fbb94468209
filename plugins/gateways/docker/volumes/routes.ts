/** The endpoints of volumes. */
import * as z from 'zod'
import { readJson } from '../http/body.ts'
import { notFound, unavailable } from '../http/http-error.ts'
import { Query } from '../http/query.ts'
import { type App, pathParameter } from '../http/routes.ts'
import { describeVolume, volumeJson } from './describe.ts'
import type { VolumeDrivers } from './drivers.ts'
import { listVolumes } from './list.ts'
import { pruneVolumes } from './prune.ts'
import type { Volumes } from './volumes.ts'

const texts = z.record(z.string(), z.string()).nullish()
const createSchema = z.object({
  Name: z.string().nullish(),
  Driver: z.string().nullish(),
  DriverOpts: texts,
  Labels: texts,
})

export function volumeRoutes(volumes: Volumes, drivers: VolumeDrivers): (app: App) => void {
  return app => {
    app.get('/volumes', request => listVolumes(volumes, drivers, new Query(request)))
    app.post('/volumes/create', async (request, reply) => {
      const { Name, Driver, DriverOpts, Labels } = await readJson(request, createSchema)
      const wish = { name: Name ?? '', driver: Driver ?? '', options: DriverOpts ?? {}, labels: Labels ?? {} }
      return reply.code(201).send(await describeVolume(volumes, await volumes.create(wish)))
    })
    app.post('/volumes/prune', request => pruneVolumes(volumes, new Query(request), request.apiVersion))
    app.get('/volumes/:name', request => inspectVolume(volumes, pathParameter(request, 'name')))
    app.put('/volumes/:name', () => {
      throw unavailable('volume update only valid for cluster volumes, but swarm is unavailable')
    })
    app.delete('/volumes/:name', async (request, reply) => {
      await volumes.remove(pathParameter(request, 'name'), new Query(request).flag('force'))
      return reply.code(204).send()
    })
  }
}

/** 404 also for one that its plugin has lost; 500 when the plugin cannot be asked. */
async function inspectVolume(volumes: Volumes, name: string): Promise<object> {
  const record = await volumes.get(name)
  const told = record && (await volumes.describe(record))
  if (record === undefined || told === undefined) throw notFound(`get ${name}: no such volume`)
  return { ...volumeJson(record, told, told.scope), ...(told.status && { Status: told.status }) }
}
