/** Request bodies. They arrive as streams, so that an archive is never held in memory; JSON is read from one here. */
import { Readable } from 'node:stream'
import type { FastifyRequest } from 'fastify'
import type * as z from 'zod'
import { badRequest, HttpError } from './http-error.ts'
import { upgradedBody } from './upgrade.ts'

/** No configuration is larger. */
const maxJsonBytes = 4 * 1024 * 1024

/** The body as it comes; undefined when there is none. */
export function bodyStream(request: FastifyRequest): Readable | undefined {
  const early = upgradedBody(request)
  if (early) return early.length === 0 ? undefined : Readable.from([early])
  return (request.body as Readable | undefined) ?? undefined
}

/**
 * The body read by a schema. 400 for what is not JSON and for a value of a wrong type; unknown members are dropped by
 * the schema (`z.object`). An empty body is `whenEmpty`, or 400.
 */
export async function readJson<S extends z.ZodType>(
  request: FastifyRequest,
  schema: S,
  whenEmpty?: unknown,
): Promise<z.output<S>> {
  const text = await readText(request)
  if (text.trim() === '') {
    if (whenEmpty === undefined) throw badRequest('invalid JSON: got EOF while reading request body')
    return schema.parse(whenEmpty)
  }
  const type = upgradedBody(request) ? 'application/json' : (request.headers['content-type'] ?? '')
  if (!/^(application|text)\/([\w.-]+\+)?json\b/i.test(type))
    throw badRequest(`unsupported Content-Type header (${type}): must be 'application/json'`)
  return checkJson(parseJson(text), schema)
}

/** 400 names the member and what is wrong with it. */
export function checkJson<S extends z.ZodType>(value: unknown, schema: S): z.output<S> {
  const result = schema.safeParse(value)
  if (result.success) return result.data
  const [issue] = result.error.issues
  const path = issue?.path.join('.') ?? ''
  throw badRequest(`invalid JSON: ${path === '' ? '' : `${path}: `}${issue?.message ?? 'wrong form'}`)
}

export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch (cause) {
    throw badRequest(`invalid JSON: ${cause instanceof Error ? cause.message : cause}`, { cause })
  }
}

async function readText(request: FastifyRequest): Promise<string> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of bodyStream(request) ?? []) {
    size += chunk.length
    if (size > maxJsonBytes) throw new HttpError(413, `request body is larger than ${maxJsonBytes} bytes`)
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString('utf8')
}
