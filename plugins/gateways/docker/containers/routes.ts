/** `/containers/…`: the verbs without streams. */

import { type ApiVersion, atLeast } from '../http/api-version.ts'
import { readJson } from '../http/body.ts'
import { badRequest, HttpError, serverError } from '../http/http-error.ts'
import { Query } from '../http/query.ts'
import { pathParameter, type Request, type Routes } from '../http/routes.ts'
import { refuseFolder } from './checkpoints.ts'
import type { ContainerParts } from './containers.ts'
import { createSchema } from './create/body.ts'
import { createContainer } from './create/create.ts'
import type { StopOptions } from './lifecycle.ts'
import { pruneContainers } from './prune.ts'
import { inspectContainer, listContainers } from './queries.ts'
import { renameContainer } from './rename.ts'
import { parseSignal } from './signals.ts'
import { isActive } from './state.ts'
import type { Found } from './store.ts'
import { topOf } from './top.ts'
import { updateContainer } from './update/update.ts'
import { parseCondition, type WaitCondition } from './waiting.ts'

export function containerRoutes(parts: ContainerParts): Routes {
  const { store, lifecycle, engine } = parts
  const get = (request: Request) => store.get(pathParameter(request, 'id'))
  return app => {
    app.get('/containers/json', async (request, reply) =>
      reply.type('application/json').send(await listContainers(parts, new Query(request), request.apiVersion)),
    )
    app.get('/containers/:id/json', async request =>
      inspectContainer(parts, await get(request), new Query(request).flag('size'), request.apiVersion),
    )
    app.post('/containers/create', async (request, reply) => {
      const query = new Query(request)
      const body = await readJson(request, createSchema.nullable())
      if (body === null) throw badRequest('config cannot be empty in order to create a container')
      const wish = { name: query.text('name'), platform: query.text('platform'), version: request.apiVersion }
      return reply.code(201).send(await createContainer(parts, body, wish))
    })
    app.post('/containers/:id/start', async (request, reply) => {
      const query = new Query(request)
      refuseFolder(query.text('checkpoint-dir'))
      await lifecycle.start(await store.takeNew(pathParameter(request, 'id')), query.text('checkpoint'))
      return reply.code(204).send()
    })
    app.post('/containers/:id/stop', async (request, reply) => {
      const options = stopOptions(request)
      await lifecycle.stop(await get(request), options)
      return reply.code(204).send()
    })
    app.post('/containers/:id/restart', async (request, reply) => {
      await restart(parts, pathParameter(request, 'id'), stopOptions(request))
      return reply.code(204).send()
    })
    app.post('/containers/:id/kill', async (request, reply) => {
      await kill(parts, pathParameter(request, 'id'), new Query(request).text('signal'))
      return reply.code(204).send()
    })
    app.post('/containers/:id/pause', async (request, reply) => {
      await lifecycle.pause(await get(request))
      return reply.code(204).send()
    })
    app.post('/containers/:id/unpause', async (request, reply) => {
      await lifecycle.unpause(await get(request))
      return reply.code(204).send()
    })
    app.post('/containers/:id/rename', async (request, reply) => {
      const name = new Query(request).text('name')
      if (name === '') throw badRequest('Neither old nor new names may be empty')
      await renameContainer(parts, await get(request), name)
      return reply.code(204).send()
    })
    app.post('/containers/:id/update', async request => updateContainer(parts, pathParameter(request, 'id'), request))
    app.post('/containers/:id/resize', async (request, reply) => {
      const [height, width] = windowSize(request)
      const found = await get(request)
      if (found.state.name !== 'running') throw new HttpError(409, `container ${found.id} is not running`)
      await engine.core.tasks.resizePty({ containerId: found.id, height, width })
      return reply.code(200).send()
    })
    app.get('/containers/:id/top', async request =>
      topOf(await get(request), new Query(request).text('ps_args'), engine.core),
    )
    app.delete('/containers/:id', async (request, reply) => {
      const query = new Query(request)
      const found = await get(request)
      // Links of Docker's old kind have no names of their own here; 500 is Docker's.
      if (query.flag('link')) throw serverError('Conflict, cannot remove the default link name of the container')
      await lifecycle.remove(found, { force: query.flag('force'), volumes: query.flag('v') })
      return reply.code(204).send()
    })
    app.post('/containers/prune', async request => pruneContainers(parts, new Query(request)))
    app.post('/containers/:id/wait', async (request, reply) => {
      const query = new Query(request)
      const condition = parseCondition(atLeast(request.apiVersion, '1.30') ? query.text('condition') : '')
      const wait = await parts.waiting.begin(() => store.getNew(pathParameter(request, 'id')))
      const gone = new AbortController()
      reply.raw.once('close', () => gone.abort())
      const exit = wait.until(condition, gone.signal)
      exit.catch(() => {})
      // The CLI starts the container when it has seen this head.
      if (atLeast(request.apiVersion, '1.30')) {
        reply.hijack()
        reply.raw.writeHead(200, { ...reply.getHeaders(), 'Content-Type': 'application/json' } as Record<
          string,
          string
        >)
        reply.raw.flushHeaders()
        const answer = await exit.then(
          StatusCode => ({ ...startError(wait.found, condition, request.apiVersion), StatusCode }),
          (error: Error) => ({ Error: { Message: error.message }, StatusCode: -1 }),
        )
        if (!gone.signal.aborted) reply.raw.end(`${JSON.stringify(answer)}\n`)
        return reply
      }
      return { StatusCode: await exit }
    })
  }
}

/** Docker says what it was about, whatever went wrong; the signal is looked at before the container. */
async function kill({ store, lifecycle }: ContainerParts, reference: string, signal: string): Promise<void> {
  if (!/^[1-9]\d*$/.test(signal) && signal !== '') parseSignal(signal)
  try {
    await lifecycle.kill(await store.get(reference), signal)
  } catch (error) {
    if (!(error instanceof HttpError)) throw error
    throw new HttpError(error.status, `cannot kill container: ${reference}: ${error.message}`, { cause: error })
  }
}

async function restart({ store, lifecycle }: ContainerParts, reference: string, options: StopOptions): Promise<void> {
  const found = await store.get(reference)
  try {
    await lifecycle.restart(found, options)
  } catch (error) {
    if (!(error instanceof HttpError)) throw error
    throw serverError(`Cannot restart container ${reference}: ${error.message}`, { cause: error })
  }
}

function stopOptions(request: Request): { signal: string; timeout: number | undefined } {
  const query = new Query(request)
  return { signal: query.text('signal'), timeout: query.integer('t') }
}

/** Of a container whose start came to nothing; older clients get the member always. */
function startError({ state }: Found, condition: WaitCondition, version: ApiVersion): { Error?: object | null } {
  const isTold = condition === 'not-running' && state.error !== '' && !isActive(state)
  if (isTold) return { Error: { Message: state.error } }
  return atLeast(version, '1.42') ? {} : { Error: null }
}

/** 400 in Docker's words. */
export function windowSize(request: Request): [number, number] {
  const query = new Query(request)
  const [height, width] = ['h', 'w'].map(name => {
    const text = query.text(name)
    if (!/^\d+$/.test(text) || Number(text) > 65_535)
      throw new HttpError(400, `invalid resize ${name === 'h' ? 'height' : 'width'} "${text}": invalid syntax`)
    return Number(text)
  })
  return [height ?? 0, width ?? 0]
}
