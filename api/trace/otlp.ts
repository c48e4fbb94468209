/** Spans as OTLP messages (https://opentelemetry.io/docs/specs/otlp/). Loaded when the first span leaves its process. */
import { ExportTraceServiceRequest } from '../gen/opentelemetry/proto/collector/trace/v1/trace_service.ts'
import type { KeyValue } from '../gen/opentelemetry/proto/common/v1/common.ts'
import { ResourceSpans, type Span, Status_StatusCode } from '../gen/opentelemetry/proto/trace/v1/trace.ts'
import { wallOffsetNs } from './clock.ts'
import type { SpanRecord } from './spans.ts'

/** Who the spans are of, in the words of OpenTelemetry's semantic conventions. */
export interface ServiceIdentity {
  /** `gantryd`, `snapshotter/overlayfs`. */
  readonly name: string
  readonly pid: number
}

export function resourceSpans(service: ServiceIdentity, records: readonly SpanRecord[]): ResourceSpans {
  const offsetNs = wallOffsetNs()
  return ResourceSpans.fromPartial({
    resource: { attributes: [text('service.name', service.name), integer('process.pid', service.pid)] },
    scopeSpans: [{ scope: { name: 'gantry' }, spans: records.map(record => otlpSpan(record, offsetNs)) }],
  })
}

/** What goes into a collector's Export, or into an answer's metadata. Two of them one after the other are one (protobuf). */
export function exportRequest(service: ServiceIdentity, records: readonly SpanRecord[]): Buffer {
  return encodeExport([resourceSpans(service, records)])
}

export function encodeExport(spans: readonly ResourceSpans[]): Buffer {
  return Buffer.from(ExportTraceServiceRequest.encode({ resourceSpans: [...spans] }).finish())
}

/** Throws for what is no such message. */
export function decodeExport(bytes: Uint8Array): ResourceSpans[] {
  return ExportTraceServiceRequest.decode(bytes).resourceSpans
}

function otlpSpan(record: SpanRecord, offsetNs: bigint): Partial<Span> {
  return {
    traceId: Buffer.from(record.traceId, 'hex'),
    spanId: Buffer.from(record.spanId, 'hex'),
    parentSpanId: Buffer.from(record.parentId, 'hex'),
    name: record.name,
    kind: record.kind,
    startTimeUnixNano: record.startNs + offsetNs,
    endTimeUnixNano: record.endNs + offsetNs,
    flags: 1,
    ...(record.error !== undefined && {
      status: { message: record.error, code: Status_StatusCode.STATUS_CODE_ERROR },
    }),
  }
}

const text = (key: string, stringValue: string): KeyValue => ({ key, value: { stringValue } })
const integer = (key: string, value: number): KeyValue => ({ key, value: { intValue: BigInt(value) } })
