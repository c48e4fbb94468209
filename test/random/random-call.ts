/** One call of any method, with bytes in and bytes out, to its end or to where its caller loses interest. */
import type { DescMethod } from '@bufbuild/protobuf'
import { isGantryError } from '#api/errors/errors.ts'
import { type Channel, createClient } from '#api/rpc/client.ts'
import type { Codec, ServiceDefinition } from '#api/rpc/definition.ts'

const bytes: Codec<unknown> = {
  encode: message => ({ finish: () => message as Uint8Array }),
  decode: message => message,
  fromPartial: message => message,
} as Codec<unknown>

export interface CallChoices {
  requests: Uint8Array[]
  namespace?: string
  lease?: string
  /** The caller gives up after so long. */
  patienceMs: number
}

export interface Told {
  method: string
  /** OK, GAVE_UP, or the error's code. */
  code: string
  message: string
  ms: number
}

const maxAnswers = 50

export async function call(channel: Channel, method: DescMethod, choices: CallChoices): Promise<Told> {
  const name = `${method.parent.typeName}/${method.name}`
  const signal = AbortSignal.timeout(choices.patienceMs)
  const { namespace, lease, requests } = choices
  const options = { signal, ...(namespace !== undefined && { namespace }), ...(lease !== undefined && { lease }) }
  const started = performance.now()
  const told = (code: string, message = '') => ({ method: name, code, message, ms: performance.now() - started })
  try {
    const answer = invoke(channel, method, requests, options)
    if (isIterable(answer)) {
      let answers = 0
      for await (const _ of answer) if (++answers >= maxAnswers) break
    } else await answer
    return told('OK')
  } catch (error) {
    if (signal.aborted) return told('GAVE_UP')
    const code = isGantryError(error) ? error.code : 'THROWN'
    return told(code, error instanceof Error ? error.message : String(error))
  }
}

function invoke(channel: Channel, method: DescMethod, requests: Uint8Array[], options: object): unknown {
  const requestStream = method.methodKind === 'client_streaming' || method.methodKind === 'bidi_streaming'
  const responseStream = method.methodKind === 'server_streaming' || method.methodKind === 'bidi_streaming'
  const types = { requestType: bytes, responseType: bytes, requestStream, responseStream }
  const definition = {
    name: method.parent.name,
    fullName: method.parent.typeName,
    methods: { it: { name: method.name, options: {}, ...types } },
  } as unknown as ServiceDefinition
  const client = createClient(definition, channel) as Record<string, (request: unknown, options: object) => unknown>
  return client.it?.(requestStream ? each(requests) : requests[0], options)
}

async function* each(requests: Uint8Array[]): AsyncGenerator<Uint8Array> {
  yield* requests
}

function isIterable(value: unknown): value is AsyncIterable<unknown> {
  return typeof value === 'object' && value !== null && Symbol.asyncIterator in value
}
