/** `GET /system/df`. */
import type { Engine } from '../engine/engine.ts'
import { atLeast } from '../http/api-version.ts'
import { badRequest } from '../http/http-error.ts'
import { Query } from '../http/query.ts'
import type { App, Request } from '../http/routes.ts'
import { listImages } from '../images/list.ts'
import type { ImageRoom } from '../images/room.ts'
import { describeVolume } from '../volumes/describe.ts'
import { sizeOf } from '../volumes/prune.ts'
import type { Volumes } from '../volumes/volumes.ts'
import { summaries } from './disk-summaries.ts'

export interface DiskUsageRoom {
  readonly engine: Engine
  readonly images: ImageRoom
  readonly volumes: Volumes
}

const types = ['container', 'image', 'volume', 'build-cache'] as const

/** `type` may be repeated; without it everything is measured. 400 for an unknown one. */
export async function describeDiskUsage(room: DiskUsageRoom, app: App, request: Request): Promise<object> {
  const asked = new Query(request).all('type')
  const stranger = asked.find(type => !types.some(known => known === type))
  if (stranger !== undefined) throw badRequest(`unknown object type: ${stranger}`)
  const wants = (type: (typeof types)[number]) => asked.length === 0 || asked.includes(type)
  const [layersSize, images, containers, volumes] = await Promise.all([
    wants('image') ? totalOfLayers(room.images) : 0,
    wants('image') ? imagesOf(room.images, request) : null,
    wants('container') ? containersOf(app, request) : null,
    wants('volume') ? volumesOf(room.volumes) : null,
  ])
  if (atLeast(request.apiVersion, '1.52'))
    return summaries({ images, containers, volumes, layersSize, verbose: new Query(request).flag('verbose') })
  const all = { LayersSize: layersSize, Images: images, Containers: containers, Volumes: volumes }
  return { ...all, BuildCache: wants('build-cache') ? [] : null, BuilderSize: 0 }
}

/** Each layer once, whatever number of images has it. */
async function totalOfLayers({ catalog, sizes }: ImageRoom): Promise<number> {
  const layers = new Map<string, number>()
  for (const image of await catalog.all()) {
    const own = await sizes.of(image)
    for (const [i, chainId] of image.chainIds.entries()) layers.set(chainId, own[i] ?? 0)
  }
  return [...layers.values()].reduce((sum, size) => sum + size, 0)
}

function imagesOf(room: ImageRoom, { apiVersion }: Request): Promise<object[]> {
  const query = new Query({ query: { all: '1', 'shared-size': '1' } })
  return listImages(room, query, apiVersion, { withCounts: true })
}

/** What the list of containers answers, with its sizes. */
async function containersOf(app: App, { apiVersion }: Request): Promise<object[]> {
  const { statusCode, body } = await app.inject({ url: `/v${apiVersion}/containers/json?all=1&size=1` })
  return statusCode === 200 ? JSON.parse(body) : []
}

async function volumesOf(volumes: Volumes): Promise<object[]> {
  const records = await volumes.list()
  return Promise.all(
    records.map(async record => {
      const users = await volumes.usersOf(record.name)
      return {
        ...(await describeVolume(volumes, record)),
        UsageData: { RefCount: users.length, Size: await sizeOf(volumes, record) },
      }
    }),
  )
}
