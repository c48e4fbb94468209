/** `attach`: a client's terminal, joined to the container's standard streams. */
import { atLeast } from '../http/api-version.ts'
import { conflict } from '../http/http-error.ts'
import { Query } from '../http/query.ts'
import { pathParameter, type Request, type Routes } from '../http/routes.ts'
import { type Hijacked, hijack } from '../http/upgrade.ts'
import { openWebSocket } from '../http/websocket.ts'
import { parseDetachKeys } from '../streams/detach-keys.ts'
import { endGently, join } from '../streams/join.ts'
import { openShimStream } from '../streams/shim-stream.ts'
import { publishContainerEvent } from './actor.ts'
import type { ContainerParts } from './containers.ts'
import { isRunning } from './state.ts'
import type { Found } from './store.ts'

export interface AttachWish {
  stream: boolean
  logs: boolean
  stdin: boolean
  stdout: boolean
  stderr: boolean
  detachKeys: Buffer
  /** Output as it is, even of a container without a terminal. */
  unframed?: boolean
}

export function parseAttachWish(request: Request): AttachWish {
  const query = new Query(request)
  const [stream, logs, stdin, stdout, stderr] = ['stream', 'logs', 'stdin', 'stdout', 'stderr'].map(name =>
    query.flag(name),
  )
  return {
    stream: stream ?? false,
    logs: logs ?? false,
    stdin: stdin ?? false,
    stdout: stdout ?? false,
    stderr: stderr ?? false,
    detachKeys: parseDetachKeys(query.text('detachKeys')),
  }
}

/** Of streams with a header before each piece; since 1.42 their type says so. */
export const multiplexedType = 'application/vnd.docker.multiplexed-stream'
export const rawType = 'application/vnd.docker.raw-stream'

export function attachRoutes(parts: ContainerParts): Routes {
  const wanted = async (request: Request) => {
    const wish = parseAttachWish(request)
    const found = await parts.store.getNew(pathParameter(request, 'id'))
    if (found.state.name === 'paused')
      throw conflict(`container ${found.id} is paused, unpause the container before attach`)
    return { wish, found }
  }
  return app => {
    // Messages are the streams themselves, without frames: so it is in Docker.
    app.get('/containers/:id/attach/ws', async (request, reply) => {
      const { wish, found } = await wanted(request)
      const client = await openWebSocket(request, reply)
      publishContainerEvent(parts.engine.events, found, 'attach')
      attachClient(parts, found, client, { ...wish, unframed: true })
      return reply
    })
    app.post('/containers/:id/attach', async (request, reply) => {
      const { wish, found } = await wanted(request)
      const isFramed = !found.record.config.Tty && atLeast(request.apiVersion, '1.42')
      const client = hijack(request, reply, isFramed ? multiplexedType : rawType)
      publishContainerEvent(parts.engine.events, found, 'attach')
      attachClient(parts, found, client, wish)
    })
  }
}

/** Joins now, or when the container is started. The client may leave at any time. */
export function attachClient(parts: ContainerParts, found: Found, client: Hijacked, wish: AttachWish): void {
  const follow = async (replay: boolean) => {
    const { config } = found.record
    const stdin = wish.stdin && wish.stream && config.OpenStdin
    const stream = await openShimStream(found.core.paths?.attachSocket ?? '', {
      ...{ stdin, stdout: wish.stdout, stderr: wish.stderr, replay },
    })
    const options = {
      ...{ stdin, stdout: wish.stdout, stderr: wish.stderr, unframed: wish.unframed ?? false },
      endsStdin: config.StdinOnce && !config.Tty,
      detachKeys: config.Tty ? wish.detachKeys : undefined,
    }
    void join(client, stream, options).then(end => {
      if (end === 'detached') publishContainerEvent(parts.engine.events, found, 'detach')
    })
  }
  const giveUp = (error: unknown) => {
    parts.log.debug({ id: found.id, err: error }, 'attach')
    endGently(client.socket)
  }
  if (!wish.stream && !wish.logs) {
    endGently(client.socket)
    return
  }
  if (isRunning(found.state)) {
    follow(wish.logs).catch(giveUp)
    return
  }
  const stop = parts.hub.wait(found.id, () => follow(false).catch(giveUp))
  client.socket.once('close', stop)
}
