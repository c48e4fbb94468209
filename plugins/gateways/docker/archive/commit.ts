/** `docker commit`: what a container has changed, as a layer on top of its image. */
import { randomBytes } from 'node:crypto'
import type * as z from 'zod'
import { isGantryError } from '#api/errors/errors.ts'
import { publishContainerEvent } from '../containers/actor.ts'
import type { ContainerParts } from '../containers/containers.ts'
import { configSchema } from '../containers/create/body.ts'
import { imageSnapshot } from '../containers/roots.ts'
import type { Found } from '../containers/store.ts'
import type { CommitImage, ImageRuntimeConfig } from '../engine/images.ts'
import { readJson } from '../http/body.ts'
import { badRequest } from '../http/http-error.ts'
import { Query } from '../http/query.ts'
import type { Request, Routes } from '../http/routes.ts'

const layerType = 'application/vnd.oci.image.layer.v1.tar+gzip'
/** The layer is kept from garbage collection while the image is made. */
const leaseSeconds = 3600

/** All members may be missing; an empty body is the container's own configuration. */
const commitSchema = configSchema.partial().loose()

export function commitRoutes(parts: ContainerParts): Routes {
  return app => {
    app.post('/commit', async (request, reply) => {
      const query = new Query(request)
      const name = query.text('container')
      if (name === '') throw badRequest('invalid name or ID supplied: ""')
      const found = await parts.store.get(name)
      const config = { ...found.record.config, ...given(await readJson(request, commitSchema, {})) }
      const pauses = query.flag('pause', true) && found.state.name === 'running'
      if (pauses) await parts.lifecycle.pause(found)
      try {
        return reply.code(201).send({ Id: await commitContainer(parts, found, imageConfig(config), request) })
      } finally {
        if (pauses) await parts.engine.core.tasks.resume({ containerId: found.id }).catch(() => {})
      }
    })
  }
}

/** What the client said anything about. */
function given(config: z.output<typeof commitSchema>): object {
  return Object.fromEntries(Object.entries(config).filter(([, value]) => Boolean(value) && value !== null))
}

function imageConfig(config: Found['record']['config']): ImageRuntimeConfig {
  const { User, ExposedPorts, Env, Entrypoint, Cmd, Volumes, WorkingDir, Labels, StopSignal, Healthcheck } = config
  return {
    ...(User && { User }),
    ...(ExposedPorts && { ExposedPorts }),
    ...(Env && { Env }),
    ...(Volumes && { Volumes }),
    ...(WorkingDir && { WorkingDir }),
    ...(Labels && { Labels }),
    ...(StopSignal && { StopSignal }),
    ...(Healthcheck && { Healthcheck: { ...Healthcheck, Test: Healthcheck.Test ?? [] } }),
    Entrypoint,
    Cmd,
  }
}

async function commitContainer(
  { engine }: ContainerParts,
  found: Found,
  config: ImageRuntimeConfig,
  request: Request,
): Promise<string> {
  const { core, images, events } = engine
  const query = new Query(request)
  const [repo, tag] = [query.text('repo'), query.text('tag')]
  const lease = `docker-commit-${randomBytes(8).toString('hex')}`
  const expire = new Date(Date.now() + leaseSeconds * 1000).toISOString()
  await core.leases.create({ id: lease, labels: { 'containerd.io/gc.expire': expire } })
  try {
    const parent = await images.resolve(found.record.imageId)
    const id = await images.commit(
      {
        ...{ parent, config, author: query.text('author'), comment: query.text('comment') },
        layer: await layerOf(engine.core, found, lease),
        createdBy: [found.record.path, ...found.record.args].join(' '),
        reference: repo === '' ? undefined : `${repo}${tag === '' ? '' : `:${tag}`}`,
        changes: query
          .all('changes')
          .flatMap(text => text.split('\n'))
          .filter(line => line.trim() !== ''),
      },
      { lease },
    )
    publishContainerEvent(events, found, 'commit', { comment: query.text('comment'), imageID: id, imageRef: repo })
    return id
  } finally {
    await core.leases.delete({ id: lease, sync: false }).catch(() => {})
  }
}

/** Undefined for a container that never ran: it has changed nothing. */
async function layerOf(
  core: ContainerParts['engine']['core'],
  found: Found,
  lease: string,
): Promise<CommitImage['layer']> {
  const { snapshotter, parent } = imageSnapshot(found)
  const right = await core.snapshots.mounts({ snapshotter, key: found.id }).catch(error => {
    if (isGantryError(error, 'NOT_FOUND')) return undefined
    throw error
  })
  if (!right) return undefined
  const key = `${lease}-view`
  const left = await core.snapshots.view({ snapshotter, key, parent }, { lease })
  try {
    const { diff } = await core.diffs.diff(
      { left: left.mounts, right: right.mounts, mediaType: layerType, ref: lease },
      { lease },
    )
    const { info } = await core.content.info({ digest: diff?.digest ?? '' })
    const diffId = info?.labels['containerd.io/uncompressed'] ?? ''
    return diff && { mediaType: diff.mediaType, digest: diff.digest, sizeBytes: diff.size, diffId }
  } finally {
    await core.snapshots.remove({ snapshotter, key })
  }
}
