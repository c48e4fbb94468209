/**
 * JSON as Go's decoder reads it into the engine's types: `null` and a member that is missing are the zero value, unknown
 * members are dropped, a wrong type is an error.
 */
import * as z from 'zod'

export const text = z
  .string()
  .nullish()
  .transform(value => value ?? '')
export const flag = z
  .boolean()
  .nullish()
  .transform(value => value ?? false)
export const integer = z
  .int()
  .nullish()
  .transform(value => value ?? 0)
/** Undefined when the client did not say. */
export const optionalFlag = z
  .boolean()
  .nullish()
  .transform(value => value ?? undefined)
export const optionalInteger = z
  .int()
  .nullish()
  .transform(value => value ?? undefined)

/** `null` stays `null`: inspect answers it so. */
export const texts = z
  .array(z.string())
  .nullish()
  .transform(value => value ?? null)
export const textMap = z
  .record(z.string(), z.string().nullish())
  .nullish()
  .transform(value => (value ? Object.fromEntries(Object.entries(value).map(([k, v]) => [k, v ?? ''])) : null))
/** A set, as `{"80/tcp": {}}`. */
export const keys = z
  .record(z.string(), z.unknown())
  .nullish()
  .transform(value => (value ? Object.fromEntries(Object.keys(value).map(key => [key, {}])) : null))
/** A command: a list, or one word. */
export const command = z
  .union([z.string().transform(word => [word]), z.array(z.string())])
  .nullish()
  .transform(value => value ?? null)

export const list = <S extends z.ZodType>(item: S) =>
  z
    .array(item)
    .nullish()
    .transform(value => value ?? null)

export const optionalObject = <S extends z.ZodType>(object: S) =>
  object.nullish().transform(value => value ?? undefined)
