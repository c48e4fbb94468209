/** `POST /build` and its cache. */
import type { Readable } from 'node:stream'
import { messageOf } from '#api/errors/errors.ts'
import { BuildOptions, type BuildRequest } from '#api/gen/gantry/services/builder/v1/builder.ts'
import { bodyStream } from '../http/body.ts'
import { notImplemented } from '../http/http-error.ts'
import { Query } from '../http/query.ts'
import type { Reply, Request, Routes } from '../http/routes.ts'
import { parseName, recordName, shown } from '../images/names.ts'
import type { ProgressMessage } from '../images/progress-messages.ts'
import { leaving, sendProgressAlways } from '../images/progress-reply.ts'
import { configHeader } from '../registry/credentials.ts'
import { BuildMessages, buildError, shortId } from './build-messages.ts'
import { buildOptions, pruneOptions, type WantedBuild } from './build-options.ts'
import { reachBuilder } from './builder-client.ts'

const noSession = 'build sessions (BuildKit) are not implemented: build with DOCKER_BUILDKIT=0'

/** `tag`: gives an image, by its id, a name as `POST /images/{name}/tag` does. */
export function buildRoutes(
  tag: (image: string, name: string) => Promise<void>,
  registryHostDirectories: Readonly<Record<string, string>>,
): Routes {
  return (app, engine) => {
    app.post('/build', async (request: Request, reply: Reply) => {
      const query = new Query(request)
      const names = query.all('t').filter(name => name !== '')
      for (const name of names) recordName(parseName(name))
      const registryCredentials = configHeader(request)
      const folders = { registryHostDirectories: { ...registryHostDirectories } }
      const wanted = { ...buildOptions(query), ...folders, registryCredentials }
      const work = { wanted, names, isQuiet: query.flag('q'), signal: leaving(reply), body: bodyStream(request), tag }
      return sendProgressAlways(reply, build(engine.core, work))
    })
    app.post('/build/cancel', () => {
      throw notImplemented(noSession)
    })
    for (const url of ['/session', '/grpc'])
      app.post(url, () => {
        throw notImplemented(noSession)
      })
    app.post('/build/prune', async request => {
      using client = await reachBuilder(engine.core)
      const { keys, freedBytes } = await client.builder.prune(pruneOptions(new Query(request)))
      return { CachesDeleted: keys.length === 0 ? null : keys, SpaceReclaimed: Number(freedBytes) }
    })
  }
}

interface BuildWork {
  readonly wanted: WantedBuild & Pick<BuildOptions, 'registryHostDirectories' | 'registryCredentials'>
  readonly names: readonly string[]
  readonly isQuiet: boolean
  readonly signal: AbortSignal
  readonly body: Readable | undefined
  readonly tag: (image: string, name: string) => Promise<void>
}

async function* build(core: Parameters<typeof reachBuilder>[0], work: BuildWork): AsyncGenerator<ProgressMessage> {
  const { wanted, names, isQuiet, signal, body, tag } = work
  const messages = new BuildMessages()
  let imageId = ''
  try {
    using client = await reachBuilder(core)
    for await (const event of client.builder.build(requests(wanted, body), { signal })) {
      imageId = event.result?.imageId ?? imageId
      if (!isQuiet) yield* messages.read(event)
    }
    for (const name of names) await tag(imageId, name)
  } catch (error) {
    yield buildError(messageOf(error))
    return
  }
  yield { aux: { ID: imageId } }
  if (isQuiet) {
    yield { stream: `${imageId}\n` }
    return
  }
  yield { stream: `Successfully built ${shortId(imageId)}\n` }
  for (const name of names) yield { stream: `Successfully tagged ${shown(parseName(name))}\n` }
}

async function* requests(
  wanted: Partial<BuildOptions>,
  body: Readable | undefined,
): AsyncGenerator<Partial<BuildRequest>> {
  yield { options: BuildOptions.fromPartial(wanted) }
  // Docker's clients send an empty archive, or nothing, beside a remote context.
  if (wanted.remote) return
  for await (const context of body ?? []) yield { context: context as Buffer }
}
