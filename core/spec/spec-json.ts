/**
 * The runtime spec as JSON text with whole 64-bit numbers: RLIM_INFINITY does not survive JavaScript's numbers,
 * so integers past 2^53 are bigints on our side.
 */

type RawJson = { rawJSON(text: string): unknown }
type Reviver = (key: string, value: unknown, context: { source?: string }) => unknown

/** Compact JSON text of a spec, process or resources object. */
export function encodeSpecJson(value: unknown): Buffer {
  const text = JSON.stringify(value, (_, item) =>
    typeof item === 'bigint' ? (JSON as unknown as RawJson).rawJSON(item.toString()) : item,
  )
  return Buffer.from(text)
}

/** The reverse. Throws SyntaxError. */
export function decodeSpecJson(text: Uint8Array): unknown {
  const exact: Reviver = (_, value, { source }) =>
    typeof value === 'number' && Number.isInteger(value) && !Number.isSafeInteger(value) && /^-?\d+$/.test(source ?? '')
      ? BigInt(source ?? 0)
      : value
  return JSON.parse(Buffer.from(text).toString(), exact as (key: string, value: unknown) => unknown)
}
