/** The endpoints of volumes. */
import * as z from 'zod'
import { readJson } from '../http/body.ts'
import { Filters, hasLabel } from '../http/filters.ts'
import { notFound, unavailable } from '../http/http-error.ts'
import { Query } from '../http/query.ts'
import { type App, pathParameter } from '../http/routes.ts'
import { pruneVolumes } from './prune.ts'
import type { VolumeRecord } from './volume-record.ts'
import type { Volumes } from './volumes.ts'

const texts = z.record(z.string(), z.string()).nullish()
const createSchema = z.object({
  Name: z.string().nullish(),
  Driver: z.string().nullish(),
  DriverOpts: texts,
  Labels: texts,
})

export function volumeRoutes(volumes: Volumes): (app: App) => void {
  return app => {
    app.get('/volumes', request => list(volumes, new Query(request)))
    app.post('/volumes/create', async (request, reply) => {
      const { Name, Driver, DriverOpts, Labels } = await readJson(request, createSchema)
      const wish = { name: Name ?? '', driver: Driver ?? '', options: DriverOpts ?? {}, labels: Labels ?? {} }
      return reply.code(201).send(describe(volumes, await volumes.create(wish)))
    })
    app.post('/volumes/prune', request => pruneVolumes(volumes, new Query(request), request.apiVersion))
    app.get('/volumes/:name', async request => {
      const name = pathParameter(request, 'name')
      const record = await volumes.get(name)
      if (record === undefined) throw notFound(`get ${name}: no such volume`)
      return describe(volumes, record)
    })
    app.put('/volumes/:name', () => {
      throw unavailable('volume update only valid for cluster volumes, but swarm is unavailable')
    })
    app.delete('/volumes/:name', async (request, reply) => {
      await volumes.remove(pathParameter(request, 'name'), new Query(request).flag('force'))
      return reply.code(204).send()
    })
  }
}

export function describe(volumes: Volumes, record: VolumeRecord): object {
  return {
    CreatedAt: record.createdAt,
    Driver: record.driver,
    Labels: record.labels,
    Mountpoint: volumes.mountpointOf(record),
    Name: record.name,
    Options: record.options,
    Scope: 'local',
  }
}

async function list(volumes: Volumes, query: Query): Promise<object> {
  const filters = Filters.read(query, ['name', 'driver', 'label', 'dangling'])
  const dangling = filters.flag('dangling')
  const chosen: VolumeRecord[] = []
  for (const record of await volumes.list()) {
    if (!filters.some('name', part => matches(record.name, part))) continue
    if (!filters.some('driver', driver => record.driver === driver)) continue
    if (!filters.every('label', wanted => hasLabel(record.labels ?? {}, wanted))) continue
    if (dangling !== undefined && dangling !== ((await volumes.usersOf(record.name)).length === 0)) continue
    chosen.push(record)
  }
  return { Volumes: chosen.map(record => describe(volumes, record)), Warnings: null }
}

/** Docker takes the value for a regular expression, and for a part of the name when it is none. */
function matches(name: string, part: string): boolean {
  try {
    return new RegExp(part).test(name)
  } catch {
    return name.includes(part)
  }
}
