import { create, type DescMethod, type MessageInitShape, toBinary } from '@bufbuild/protobuf'
import type { Channel } from '#api/rpc/client.ts'
import { patience } from '../daemon/patience.ts'
import type { Dice } from './dice.ts'
import { flows } from './flows.ts'
import { type CallChoices, call, type Told } from './random-call.ts'
import { ids, namespaces, requestBytes, type World } from './values.ts'

interface CallerOptions {
  dice: Dice
  world: World
  channel: Channel
  /** Where what came of each call is written down. */
  told: Told[]
}

/** One client of many: now a call out of nowhere, now a sequence that makes sense. */
export class Caller {
  readonly #options: CallerOptions
  readonly #methods: ReadonlyMap<string, DescMethod>

  constructor(options: CallerOptions) {
    this.#options = options
    this.#methods = new Map(
      options.world.contract.methods.map(method => [`${method.parent.typeName}/${method.name}`, method]),
    )
  }

  async step(): Promise<void> {
    const { dice } = this.#options
    if (dice.chance(0.04)) await this.#flow()
    else await this.#anything()
  }

  async #anything(): Promise<void> {
    const { dice, world } = this.#options
    const method = dice.of(world.contract.methods)
    const isStream = method.methodKind === 'client_streaming' || method.methodKind === 'bidi_streaming'
    const requests = Array.from({ length: isStream ? dice.below(4) : 1 }, () => this.#request(method))
    const lease = dice.chance(0.1) ? dice.of(ids) : undefined
    const namespace = dice.chance(0.05) ? dice.of([undefined, 'r9', 'a/b']) : dice.of(namespaces)
    await this.#call(method, {
      requests,
      patienceMs: this.#patienceMs(method),
      ...(namespace !== undefined && { namespace }),
      ...(lease !== undefined && { lease }),
    })
  }

  #request(method: DescMethod): Uint8Array {
    const { dice, world } = this.#options
    if (dice.chance(0.01)) return dice.bytes(20)
    if (dice.chance(0.001)) return Buffer.alloc(17 * 2 ** 20)
    return requestBytes(dice, world, method.input)
  }

  /** Some lose interest at once; of streams and of waiting nobody expects an end. */
  #patienceMs({ methodKind, name }: DescMethod): number {
    const { dice } = this.#options
    if (dice.chance(0.08)) return dice.below(20)
    if (methodKind === 'server_streaming' || methodKind === 'bidi_streaming' || name === 'Wait') return 60
    return 5000 * patience
  }

  async #flow(): Promise<void> {
    const { dice, world } = this.#options
    const namespace = dice.of(namespaces)
    await dice.of(flows)(dice, world, async (name, ...plain) => {
      const method = this.#methods.get(name.startsWith('gantry.') ? name : `containerd.services.${name}`)
      if (method === undefined) throw new Error(`no method is called ${name}`)
      const requests = plain.map(message => toBinary(method.input, create(method.input, known(method, message))))
      return (await this.#call(method, { requests, namespace, patienceMs: 5000 * patience })) === 'OK'
    })
  }

  async #call(method: DescMethod, choices: CallChoices): Promise<string> {
    const outcome = await call(this.#options.channel, method, choices)
    this.#options.told.push(outcome)
    return outcome.code
  }
}

/** Without what the message has no field for: flows give similar methods the same values. */
function known(method: DescMethod, message: Record<string, unknown>): MessageInitShape<DescMethod['input']> {
  const fields = new Set(method.input.fields.map(field => field.localName))
  return Object.fromEntries(Object.entries(message).filter(([name]) => fields.has(name))) as MessageInitShape<
    DescMethod['input']
  >
}
