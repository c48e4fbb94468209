/** `docker stats`: a sample each second. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { ContainerParts } from '../containers/containers.ts'
import { isRunning } from '../containers/state.ts'
import type { Found } from '../containers/store.ts'
import { neverText } from '../containers/times.ts'
import { Query } from '../http/query.ts'
import { pathParameter, type Routes } from '../http/routes.ts'
import { emptySample, type Sample, takeSample } from './sample.ts'

const everyMs = 1000

interface Timed {
  read: string
  sample: Sample
}

export function statsRoutes(parts: ContainerParts): Routes {
  return app => {
    app.get('/containers/:id/stats', async (request, reply) => {
      const query = new Query(request)
      const found = await parts.store.get(pathParameter(request, 'id'))
      const [stream, oneShot] = [query.flag('stream', true), query.flag('one-shot')]
      if (!stream) {
        const before = isRunning(found.state) && !oneShot ? await take(parts, found) : undefined
        if (before) await sleep(everyMs)
        return statsJson(found, before, await take(parts, found))
      }
      const gone = new AbortController()
      reply.raw.once('close', () => gone.abort())
      reply.hijack()
      reply.raw.writeHead(200, {
        ...(reply.getHeaders() as Record<string, string>),
        'Content-Type': 'application/json',
      })
      reply.raw.flushHeaders()
      let before: Timed | undefined
      while (!gone.signal.aborted) {
        const now = await parts.store.peek(found.id)
        if (!now) break
        const current = await take(parts, now)
        reply.raw.write(`${JSON.stringify(statsJson(now, before, current))}\n`)
        before = current
        await sleep(everyMs, undefined, { signal: gone.signal }).catch(() => {})
      }
      reply.raw.end()
      return reply
    })
  }
}

async function take({ engine }: ContainerParts, { id, state, core }: Found): Promise<Timed> {
  const read = new Date().toISOString()
  if (!isRunning(state)) return { read: neverText, sample: emptySample }
  const { metrics } = await engine.core.tasks.metrics({ filters: [`id==${id}`] })
  const data = metrics[0]?.data
  const isOwn = core.attachments.some(({ netnsPath }) => netnsPath !== '')
  return { read, sample: data ? await takeSample(data, isOwn ? state.pid : 0) : emptySample }
}

function statsJson({ id, name }: Found, before: Timed | undefined, { read, sample }: Timed): object {
  return {
    name: `/${name}`,
    id,
    read,
    preread: before?.read ?? neverText,
    ...sample,
    precpu_stats: before?.sample.cpu_stats ?? emptySample.cpu_stats,
  }
}
