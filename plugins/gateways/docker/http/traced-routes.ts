/**
 * Spans of requests that come with a sampled `traceparent` header, and the context for the core's calls below them. A
 * request lasts from its head until its handler has answered; the spans are exported to gantryd then (OTLP).
 */
import type { FastifyInstance, FastifyRequest, RouteOptions } from 'fastify'
import { messageOf } from '#api/errors/errors.ts'
import { TraceServiceDefinition } from '#api/gen/opentelemetry/proto/collector/trace/v1/trace_service.ts'
import type { Logger } from '#api/log/log.ts'
import { type Channel, createClient } from '#api/rpc/client.ts'
import { CollectedSpans } from '#api/trace/collected-spans.ts'
import { openRequest, spanKind } from '#api/trace/spans.ts'
import { type SpanContext, sampledParent, traceparentHeader } from '#api/trace/trace-context.ts'

const service = 'gateway/docker'

/** Call before the routes are added. */
export function traceRoutes(app: FastifyInstance, core: Channel, log: Logger): void {
  const exportSpans = async (spans: CollectedSpans) => {
    const { decodeExport, resourceSpans } = await import('#api/trace/otlp.ts')
    const { own, foreign } = spans.take()
    const all = [resourceSpans({ name: service, pid: process.pid }, own), ...foreign.flatMap(decodeExport)]
    await createClient(TraceServiceDefinition, core).export({ resourceSpans: all })
  }
  app.addHook('onRoute', (route: RouteOptions) => {
    const { handler } = route
    route.handler = function (request, reply) {
      const parent = sampledParent(headerOf(request))
      const answer = (): unknown => handler.call(this, request, reply)
      if (parent === undefined) return answer()
      return traced({ parent, name: `${request.method} ${route.url}` }, answer, spans =>
        exportSpans(spans).catch(error => log.warn({ err: error }, `spans were not taken: ${messageOf(error)}`)),
      )
    }
  })
}

interface TracedRequest {
  readonly parent: SpanContext
  readonly name: string
}

async function traced(
  { parent, name }: TracedRequest,
  answer: () => unknown,
  give: (spans: CollectedSpans) => Promise<void>,
): Promise<unknown> {
  const spans = new CollectedSpans()
  const request = openRequest({ parent, name, kind: spanKind.server, sink: spans })
  try {
    const result = await request.run(answer)
    request.end()
    return result
  } catch (error) {
    request.end(error)
    throw error
  } finally {
    void give(spans)
  }
}

function headerOf({ headers }: FastifyRequest): string | undefined {
  const value = headers[traceparentHeader]
  return typeof value === 'string' ? value : undefined
}
