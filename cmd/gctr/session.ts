/** The connection of one command: where, in which tenant namespace, and what to print. */
import type { Command } from 'commander'
import { type Channel, type Client, connect, createClient } from '#api/rpc/client.ts'
import type { ServiceDefinition } from '#api/rpc/definition.ts'

export const defaultAddress = '/run/gantry/gantryd.sock'

export interface GlobalOptions {
  address: string
  namespace: string
  format: 'table' | 'json'
}

export class Session implements Disposable {
  readonly options: GlobalOptions
  readonly channel: Channel

  constructor(options: GlobalOptions) {
    this.options = options
    this.channel = connect(options.address, { namespace: options.namespace, peer: `gantryd at ${options.address}` })
  }

  client<D extends ServiceDefinition>(definition: D): Client<D> {
    return createClient(definition, this.channel)
  }

  /** True when programs read what is printed. */
  get json(): boolean {
    return this.options.format === 'json'
  }

  [Symbol.dispose](): void {
    this.channel.close()
  }
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
