/**
 * Passes spans on to an OTLP/HTTP endpoint, in batches. The sending - time limits, retries with back-off, a bounded
 * number of requests at once - is OpenTelemetry's own library, which is loaded with the first batch.
 */
import { messageOf } from '#api/errors/errors.ts'
import type { ResourceSpans } from '#api/gen/opentelemetry/proto/trace/v1/trace.ts'
import type { Logger } from '#api/log/log.ts'
import { encodeExport } from '#api/trace/otlp.ts'

type Delegate = Awaited<ReturnType<typeof openDelegate>>

/** OpenTelemetry's defaults for batches. */
const batchDelayMs = 1000
const maxBatch = 512
const maxQueue = 2048
const timeoutMs = 10_000

export class SpanExporter implements AsyncDisposable {
  readonly #url: string
  readonly #logger: Logger
  #queue: ResourceSpans[] = []
  #timer: NodeJS.Timeout | undefined
  #delegate: Promise<Delegate> | undefined

  /** `url`: the whole address, such as `http://127.0.0.1:4318/v1/traces`. */
  constructor(url: string, logger: Logger) {
    this.#url = url
    this.#logger = logger
  }

  /** Never waits and never throws: what an endpoint does not take in time is dropped, with a line in the log. */
  send(spans: readonly ResourceSpans[]): void {
    if (this.#queue.length + spans.length > maxQueue) return
    this.#queue.push(...spans)
    if (this.#queue.length >= maxBatch) void this.#flush()
    else this.#timer ??= setTimeout(() => void this.#flush(), batchDelayMs).unref()
  }

  async #flush(): Promise<void> {
    clearTimeout(this.#timer)
    this.#timer = undefined
    const batch = this.#queue.splice(0)
    if (batch.length === 0) return
    try {
      this.#delegate ??= openDelegate(this.#url)
      const { promise, resolve } = Promise.withResolvers<{ code: number; error?: Error | undefined }>()
      const delegate = await this.#delegate
      delegate.export(batch, resolve)
      const { code, error } = await promise
      if (code !== 0) throw error ?? new Error('the endpoint refused them')
    } catch (error) {
      this.#logger.warn({ url: this.#url, count: batch.length }, `spans were not taken: ${messageOf(error)}`)
    }
  }

  /** Sends what is left. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#flush()
    await (await this.#delegate)?.shutdown()
  }
}

async function openDelegate(url: string) {
  const { createOtlpHttpExportDelegate, httpAgentFactoryFromOptions } = await import(
    '@opentelemetry/otlp-exporter-base/node-http'
  )
  const countItems = (spans: ResourceSpans[]) => spans.length
  return createOtlpHttpExportDelegate<ResourceSpans[], object>(
    {
      url,
      headers: async () => ({ 'content-type': 'application/x-protobuf' }),
      timeoutMillis: timeoutMs,
      concurrencyLimit: 4,
      compression: 'gzip',
      agentFactory: httpAgentFactoryFromOptions({ keepAlive: true }),
    },
    { serializeRequest: spans => encodeExport(spans), deserializeResponse: () => ({}) },
    'otlp_http_span_exporter',
    { name: 'span', countItems },
    undefined,
  )
}
