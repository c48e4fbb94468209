import type { TraceServiceDefinition } from '#api/gen/gantry/services/trace/v1/trace.ts'
import type { TraceServiceDefinition as CollectorDefinition } from '#api/gen/opentelemetry/proto/collector/trace/v1/trace_service.ts'
import type { ServiceImpl } from '#api/rpc/definition.ts'
import type { Traces } from './traces.ts'

/** gantry.services.trace.v1: what was recorded. */
export function tracesService(traces: Traces): ServiceImpl<typeof TraceServiceDefinition> {
  return {
    async get({ traceId }) {
      const { resourceSpans, dropped } = traces.get(traceId)
      return { data: { resourceSpans }, droppedSpans: dropped }
    },
    async list() {
      return { traces: traces.list() }
    },
  }
}

/** OTLP's collector: any OpenTelemetry exporter can hand its spans in. */
export function tracesCollector(traces: Traces): ServiceImpl<typeof CollectorDefinition> {
  return {
    async export({ resourceSpans }) {
      const refused = traces.takeIn(resourceSpans)
      if (refused === 0) return {}
      const errorMessage = 'spans without ids, or of a trace that is over its limit'
      return { partialSuccess: { rejectedSpans: BigInt(refused), errorMessage } }
    },
  }
}
