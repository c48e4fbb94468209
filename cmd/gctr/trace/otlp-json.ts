/** OTLP in JSON (https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding): ids in hexadecimal, 64-bit numbers as text. */
import type { ResourceSpans } from '#api/gen/opentelemetry/proto/trace/v1/trace.ts'

/** One line: a TracesData message, as other tools import it. */
export function otlpJson(resourceSpans: readonly ResourceSpans[]): string {
  return JSON.stringify({ resourceSpans }, otlpValue)
}

/** Buffers have turned into objects by their own toJSON when they come here, so the original is looked at. */
function otlpValue(this: unknown, key: string, value: unknown): unknown {
  if (typeof value === 'bigint') return value.toString()
  const original = (this as Record<string, unknown>)[key]
  return original instanceof Uint8Array ? Buffer.from(original).toString(key.endsWith('Id') ? 'hex' : 'base64') : value
}
