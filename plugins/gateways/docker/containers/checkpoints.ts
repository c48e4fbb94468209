/**
 * `docker checkpoint`: a running container's processes as CRIU writes them down, to be started from again. A checkpoint is a blob
 * of the core's content store, which a label keeps; the container's record tells its name.
 */
import { randomBytes } from 'node:crypto'

import * as z from 'zod'
import { isGantryError, messageOf } from '#api/errors/errors.ts'
import { CheckpointOptions } from '#api/gen/containerd/runc/v1/options.ts'
import type { Descriptor } from '#api/gen/containerd/types/descriptor.ts'
import { readJson } from '../http/body.ts'
import { flag, text } from '../http/go-json.ts'
import { badRequest, conflict, serverError } from '../http/http-error.ts'
import { Query } from '../http/query.ts'
import { type App, pathParameter } from '../http/routes.ts'
import { publishContainerEvent } from './actor.ts'
import type { ContainerParts } from './containers.ts'
import { type Checkpoint, type DockerRecord, encodeRecord } from './record.ts'
import { isRunning } from './state.ts'
import type { Found } from './store.ts'

type Engine = Pick<ContainerParts['engine'], 'core' | 'events'>

const optionsType = 'containerd.runc.v1.CheckpointOptions'
const imagesType = 'application/vnd.containerd.container.criu.checkpoint.criu.tar'
/** containerd's: garbage collection leaves it. */
const rootLabel = 'containerd.io/gc.root'
/** Writing a checkpoint takes as long as writing the memory of its processes does. */
const checkpointMs = 600_000

const createSchema = z.object({ CheckpointID: text, CheckpointDir: text, Exit: flag })

export function checkpointRoutes(parts: ContainerParts): (app: App) => void {
  const { engine, store } = parts
  return app => {
    app.get('/containers/:id/checkpoints', async request => {
      refuseFolder(new Query(request).text('dir'))
      return checkpointsOf(await store.get(pathParameter(request, 'id'))).map(({ name }) => ({ Name: name }))
    })
    app.post('/containers/:id/checkpoints', async (request, reply) => {
      const { CheckpointID, CheckpointDir, Exit } = await readJson(request, createSchema)
      checkName(CheckpointID)
      refuseFolder(CheckpointDir)
      await create(engine, await store.get(pathParameter(request, 'id')), CheckpointID, Exit)
      return reply.code(201).send()
    })
    app.delete('/containers/:id/checkpoints/:checkpoint', async (request, reply) => {
      const name = pathParameter(request, 'checkpoint')
      checkName(name)
      refuseFolder(new Query(request).text('dir'))
      const found = await store.get(pathParameter(request, 'id'))
      const { digest } = checkpointOf(found, name)
      await note(
        engine,
        found,
        checkpointsOf(found).filter(other => other.name !== name),
      )
      await engine.core.content.delete({ digest })
      return reply.code(204).send()
    })
  }
}

/** What a task is restored from. Docker's words for one that there is not, and its 500. */
export function checkpointOf(found: Found, name: string): Descriptor {
  const one = checkpointsOf(found).find(checkpoint => checkpoint.name === name)
  if (one === undefined) throw serverError(`checkpoint ${name} does not exist for container ${found.name}`)
  return { mediaType: imagesType, digest: one.digest, size: BigInt(one.sizeBytes), annotations: {} }
}

/** They go with their container. */
export async function removeCheckpoints({ core }: Pick<Engine, 'core'>, found: Checkpointed): Promise<void> {
  for (const { digest } of checkpointsOf(found))
    await core.content.delete({ digest }).catch(error => {
      if (!isGantryError(error, 'NOT_FOUND')) throw error
    })
}

interface Checkpointed {
  record: Pick<DockerRecord, 'checkpoints'>
}

const checkpointsOf = ({ record }: Checkpointed): readonly Checkpoint[] => record.checkpoints ?? []

async function note({ core }: Engine, { id, record }: Found, checkpoints: readonly Checkpoint[]): Promise<void> {
  await core.containers.update({ id, extensions: encodeRecord({ ...record, checkpoints: [...checkpoints] }) })
}

/** Docker's own answer: its containerd has no other place for them, either. */
export function refuseFolder(folder: string): void {
  if (folder !== '') throw badRequest('custom checkpointdir is not supported')
}

function checkName(name: string): void {
  if (!/^[a-zA-Z0-9][a-zA-Z0-9_.-]+$/.test(name) || name.endsWith('.'))
    throw badRequest(`invalid checkpoint ID ${JSON.stringify(name)}, only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed`)
}

async function create(engine: Engine, found: Found, checkpoint: string, exit: boolean): Promise<void> {
  const { id, name } = found
  if (!isRunning(found.state)) throw conflict(`container ${id} is not running`)
  if (checkpointsOf(found).some(other => other.name === checkpoint))
    throw serverError(
      `cannot checkpoint container ${name}: checkpoint with name ${checkpoint} already exists for container ${name}`,
    )
  const { leases, content, tasks } = engine.core
  const lease = `docker-checkpoint-${randomBytes(8).toString('hex')}`
  const expire = new Date(Date.now() + checkpointMs).toISOString()
  await leases.create({ id: lease, labels: { 'containerd.io/gc.expire': expire } })
  try {
    const value = Buffer.from(CheckpointOptions.encode(CheckpointOptions.fromPartial({ exit })).finish())
    const options = { typeUrl: optionsType, value }
    const { descriptors } = await tasks.checkpoint({ containerId: id, options }, { lease, deadlineMs: checkpointMs })
    const images = descriptors.find(({ mediaType }) => mediaType === imagesType)
    if (images === undefined) throw serverError('the runtime has written no images')
    const { digest, size } = images
    const info = { digest, labels: { [rootLabel]: new Date().toISOString() } }
    await content.update({ info, updateMask: [`labels.${rootLabel}`] })
    await note(engine, found, [...checkpointsOf(found), { name: checkpoint, digest, sizeBytes: Number(size) }])
  } catch (cause) {
    throw serverError(`Cannot checkpoint container ${name}: ${messageOf(cause)}`, { cause })
  } finally {
    await leases.delete({ id: lease }).catch(() => {})
  }
  publishContainerEvent(engine.events, found, 'checkpoint')
}
