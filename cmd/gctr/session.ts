/** The connection of one command: where, in which tenant namespace, and what to print. */
import type { Command } from 'commander'
import { isGantryError } from '#api/errors/errors.ts'
import type { Channel } from '#api/rpc/channel.ts'
import type { CallOptions, Client, ServiceDefinition } from '#api/rpc/definition.ts'
import { connectTtrpc, createTtrpcClient, type TtrpcChannel } from '#api/rpc/ttrpc-client.ts'

export const defaultAddress = '/run/gantry/gantryd.sock'

export interface GlobalOptions {
  address: string
  namespace: string
  format: 'table' | 'json'
}

type Method = (request: unknown, options?: CallOptions) => unknown

/**
 * Unary calls go over ttrpc, streams over gRPC, which is loaded when the first one is needed: loading node:http2 takes
 * as long as starting Node does (docs/adr/0004). Where nobody speaks ttrpc, gRPC takes all.
 */
export class Session implements Disposable {
  readonly options: GlobalOptions
  readonly #ttrpc: TtrpcChannel
  #grpc: Channel | undefined

  constructor(options: GlobalOptions) {
    this.options = options
    this.#ttrpc = connectTtrpc(`${options.address}.ttrpc`, this.#defaults())
  }

  #defaults() {
    return { namespace: this.options.namespace, peer: `gantryd at ${this.options.address}` }
  }

  client<D extends ServiceDefinition>(definition: D): Client<D> {
    const quick = createTtrpcClient(definition, this.#ttrpc) as Record<string, Method>
    const methods = Object.entries(definition.methods).map(([key, { requestStream, responseStream }]) => [
      key,
      requestStream || responseStream
        ? this.#streaming(definition, key)
        : this.#unary(definition, key, quick[key] as Method),
    ])
    return Object.fromEntries(methods)
  }

  #unary(definition: ServiceDefinition, key: string, quick: Method): Method {
    return async (request, options) => {
      if (this.#grpc !== undefined) return await (await this.#slow(definition, key))(request, options)
      try {
        return await quick(request, options)
      } catch (error) {
        if (!unanswered(error)) throw error
        return await (await this.#slow(definition, key))(request, options)
      }
    }
  }

  #streaming(definition: ServiceDefinition, key: string): Method {
    const open = async () =>
      (await this.#slow(definition, key)) as (...call: Parameters<Method>) => AsyncIterable<unknown>
    return (request, options) =>
      (async function* () {
        yield* (await open())(request, options)
      })()
  }

  async #slow(definition: ServiceDefinition, key: string): Promise<Method> {
    const { connect, createClient } = await import('#api/rpc/client.ts')
    this.#grpc ??= connect(this.options.address, this.#defaults())
    return (createClient(definition, this.#grpc) as Record<string, Method>)[key] as Method
  }

  /** True when programs read what is printed. */
  get json(): boolean {
    return this.options.format === 'json'
  }

  [Symbol.dispose](): void {
    this.#ttrpc.close()
    this.#grpc?.close()
  }
}

/** Nobody listens there, we may not connect, the service is not known there, or the message is too large for ttrpc. */
function unanswered(error: unknown): boolean {
  if (isGantryError(error, 'UNAVAILABLE')) return /ENOENT|ECONNREFUSED|EACCES/.test(error.message)
  return isGantryError(error, 'NOT_IMPLEMENTED') || isGantryError(error, 'RESOURCE_EXHAUSTED')
}

export type Action<Arguments extends unknown[], Options> = (
  session: Session,
  options: Options,
  ...args: Arguments
) => Promise<void>

/**
 * Wires an action that is loaded when its command is run: `load` names the module and the function.
 * The action gets the session, its options, and its positional arguments.
 */
export function lazily<Arguments extends unknown[], Options>(
  load: () => Promise<Action<Arguments, Options>>,
): (...commanderArguments: unknown[]) => Promise<void> {
  return async (...commanderArguments) => {
    const command = commanderArguments.at(-1) as Command
    const action = await load()
    using session = new Session(command.optsWithGlobals())
    await action(session, command.opts() as Options, ...(commanderArguments.slice(0, -2) as Arguments))
  }
}
