/**
 * What single containers may reach, and nothing else: allow-lists in nftables, beside the firewall and apart from it.
 *
 * ## What is in force
 * A *guard* is one container's link with a list. All that comes out of that link and is no answer to somebody else's connection
 * must fit the list: a subnet (with a protocol and ports, or all), or an address that was *permitted* because a name of the list
 * led there, until its time is up. The rest is dropped and counted. That holds for the world, for the host itself, and for
 * containers of the same bridge: IP frames between a guarded container and its neighbours are handed to the host (their MAC
 * is changed to the bridge's), which routes them back, so that they too pass the filter with connection tracking.
 * Only frames with the container's own MAC and addresses are taken; of ARP and neighbour discovery what a link needs; no other protocol.
 *
 * Connections that exist when a list gets shorter go on.
 *
 * Both tables are loaded when the first guard comes; a host without guards has none of this.
 */
import { KeyedLock } from '#api/concurrency/keyed-lock.ts'
import type { Logger } from '#api/log/log.ts'
import { isSysError } from '#api/sys/sys.ts'
import type { Leftover } from '../../leftover.ts'
import { addressBytes, addressFromBytes, familyOf, type IpSubnet } from '../../network-addresses.ts'
import type { TransportProtocol } from '../firewall.ts'
import { subscribeToLosses } from '../nftables/losses.ts'
import { NFPROTO_BRIDGE } from '../nftables/messages.ts'
import { changeElements, deleteTable, listElements, type SetElement } from '../nftables/nfnetlink.ts'
import { runNft } from '../nftables/run-nft.ts'
import { changeText, egressRuleset, type PermittedElement, portKey } from './egress-ruleset.ts'

export interface EgressRule {
  readonly subnet: IpSubnet
  /** Undefined: all, and all ports. */
  readonly protocol?: TransportProtocol | undefined
  readonly firstPort: number
  readonly lastPort: number
}

export interface EgressGuard {
  /** Name of the container's link in the bridge. */
  readonly hostLink: string
  readonly mac: string
  readonly bridgeMac: string
  readonly addresses: readonly string[]
  /** Without overlaps: see `disjointRules`. */
  readonly allow: readonly EgressRule[]
}

/** An address that a name led to. */
export interface PermittedAddress {
  readonly address: string
  /** Undefined: all of it. */
  readonly port?: { readonly protocol: TransportProtocol; readonly number: number } | undefined
  readonly seconds: number
}

export interface EgressFilterParts {
  /** Name of the tables, in the families `inet` and `bridge`. */
  readonly table: string
  /** Who is guarded now; asked whenever everything is made anew. */
  readonly state: () => readonly EgressGuard[]
  readonly log: Logger
}

/** For so long after a change of ours, what the kernel tells is its echo. */
const echoMs = 500
const quietMs = 20

interface Learned {
  readonly set: string
  readonly key: Buffer
  readonly untilMs: number
}

export class EgressFilter {
  readonly #parts: EgressFilterParts
  readonly #lock = new KeyedLock()
  #isLoaded = false
  /** Kept beside the kernel, so that a flushed table comes back with them. */
  readonly #learned = new Map<string, Learned>()
  #changedAtMs = Number.NEGATIVE_INFINITY
  #timer: NodeJS.Timeout | undefined

  constructor(parts: EgressFilterParts) {
    this.#parts = parts
  }

  /** Puts `state` in force, whatever is there. UNAVAILABLE: the kernel cannot. Nothing is loaded while nobody is guarded. */
  restore(): Promise<void> {
    return this.#lock.run('tables', () => this.#load())
  }

  /** Guards a container, instead of `before`; `state` holds it already. In force when it resolves. */
  async put(guard: EgressGuard, before?: EgressGuard): Promise<void> {
    await this.#change(before, guard)
  }

  /** Nobody guards that link any more; `state` does not hold it. */
  async remove(guard: EgressGuard): Promise<void> {
    await this.#change(guard, undefined)
  }

  /** The container reaches these addresses from now on, for so long each; repeated, the time begins anew. */
  async permit(guard: EgressGuard, permitted: readonly PermittedAddress[]): Promise<void> {
    const now = Date.now()
    const learned = permitted.flatMap(wish => {
      const own = guard.addresses.find(address => familyOf(address) === familyOf(wish.address))
      return own === undefined ? [] : [learnedOf(own, wish, now + wish.seconds * 1000)]
    })
    for (const [key, { untilMs }] of this.#learned) if (untilMs < now) this.#learned.delete(key)
    for (const each of learned) this.#learned.set(textOf(each), each)
    await this.#lock.run('tables', () => (this.#isLoaded ? this.#putLearned(learned) : Promise.resolve()))
  }

  /** How many packets of a container were dropped. */
  async drops(guard: EgressGuard): Promise<bigint> {
    if (!this.#isLoaded) return 0n
    const { table } = this.#parts
    const wanted = [linkKey(guard.hostLink), ...guard.addresses.map(addressBytes)]
    const elements = [
      ...(await listElements(table, 'denied', NFPROTO_BRIDGE)),
      ...(await listElements(table, 'denied4')),
      ...(await listElements(table, 'denied6')),
    ]
    const own = elements.filter(({ key }) => wanted.some(each => each.equals(key)))
    return own.reduce((sum, { packets = 0n }) => sum + packets, 0n)
  }

  /** Containers that our tables guard and `state` does not know; the tables are made anew without them. */
  async leftovers(): Promise<Leftover[]> {
    const { table } = this.#parts
    const guarded = await Promise.all([
      listElements(table, 'links', NFPROTO_BRIDGE).catch(() => []),
      listElements(table, 'guarded4').catch(() => []),
      listElements(table, 'guarded6').catch(() => []),
    ])
    const wanted = this.#parts
      .state()
      .flatMap(({ hostLink, addresses }) => [linkKey(hostLink), ...addresses.map(addressBytes)])
    const stray = guarded.flat().filter(({ key }) => !wanted.some(each => each.equals(key)))
    const remove = () => this.restore()
    return stray.map(({ key }) => ({ what: `egress guard of ${keyText(key)}`, remove }))
  }

  /** What others take away is put in force again, with a line in the log, until the answer is disposed of. */
  watch(): Disposable {
    const { table, log } = this.#parts
    const look = () => {
      this.#timer = undefined
      if (!this.#isLoaded) return
      this.restore().then(
        () => log.warn({ table }, 'the egress tables were changed by others (nft flush?): made again'),
        error => log.error({ table, err: error }, 'the egress tables were changed by others and are not whole'),
      )
    }
    const subscription = subscribeToLosses(table, () => {
      if (performance.now() - this.#changedAtMs < echoMs) return
      this.#timer ??= setTimeout(look, quietMs).unref()
    })
    return {
      [Symbol.dispose]: () => {
        clearTimeout(this.#timer)
        subscription.close()
      },
    }
  }

  /** One after another: a table must not go while somebody adds to it. */
  #change(before: EgressGuard | undefined, after: EgressGuard | undefined): Promise<void> {
    return this.#lock.run('tables', async () => {
      if (this.#parts.state().length === 0) return await this.#clear()
      if (!this.#isLoaded) return await this.#load()
      for (const [key, { key: bytes }] of this.#learned)
        if (before?.addresses.some(address => !after?.addresses.includes(address) && startsWith(bytes, address)))
          this.#learned.delete(key)
      const text = changeText(this.#parts.table, before, after)
      if (text === '') return
      this.#note()
      // A table that is not as expected is made anew.
      await runNft(text).catch(() => this.#load())
      this.#note()
    })
  }

  async #load(): Promise<void> {
    const guards = this.#parts.state()
    if (guards.length === 0) return await this.#clear()
    if (this.#learned.size === 0) await this.#readLearned()
    this.#note()
    await runNft(egressRuleset(this.#parts.table, guards, this.#living()))
    this.#isLoaded = true
    this.#note()
    this.#parts.log.info({ table: this.#parts.table, guarded: guards.length }, 'egress tables loaded')
  }

  async #clear(): Promise<void> {
    this.#note()
    this.#learned.clear()
    this.#isLoaded = false
    for (const at of [{}, { family: NFPROTO_BRIDGE }])
      await deleteTable(this.#parts.table, at).catch(error => {
        if (!isSysError(error) || !['ENOENT', 'EOPNOTSUPP', 'EAFNOSUPPORT'].includes(error.code)) throw error
      })
    this.#note()
  }

  #note(): void {
    this.#changedAtMs = performance.now()
  }

  #living(): PermittedElement[] {
    const now = Date.now()
    return [...this.#learned.values()].flatMap(({ set, key, untilMs }) =>
      untilMs > now ? { set, key, seconds: Math.ceil((untilMs - now) / 1000) } : [],
    )
  }

  /** Adding leaves the time of an element that is there as it is: so it goes and comes back, in one transaction. */
  async #putLearned(learned: readonly Learned[]): Promise<void> {
    const now = Date.now()
    const living = learned.filter(({ untilMs }) => untilMs > now)
    if (living.length === 0) return
    this.#note()
    const changes = [...Map.groupBy(living, ({ set }) => set)].flatMap(([set, members]) => {
      const elements = members.map(({ key, untilMs }) => ({ key, timeoutMs: untilMs - now }))
      const bare = members.map(({ key }) => ({ key }))
      return [
        { verb: 'add', set, elements } as const,
        { verb: 'delete', set, elements: bare } as const,
        { verb: 'add', set, elements } as const,
      ]
    })
    await changeElements(this.#parts.table, changes)
  }

  /** What an earlier process had permitted. */
  async #readLearned(): Promise<void> {
    const now = Date.now()
    for (const set of ['named4', 'named6', 'named4-port', 'named6-port']) {
      const elements: SetElement[] = await listElements(this.#parts.table, set).catch(() => [])
      for (const { key, expiresMs = 0 } of elements) {
        const each = { set, key, untilMs: now + expiresMs }
        if (expiresMs > 0) this.#learned.set(textOf(each), each)
      }
    }
  }
}

function learnedOf(own: string, { address, port }: PermittedAddress, untilMs: number): Learned {
  const pair = Buffer.concat([addressBytes(own), addressBytes(address)])
  const set = `named${familyOf(address)}${port ? '-port' : ''}`
  return { set, key: port ? Buffer.concat([pair, portKey(port.protocol, port.number)]) : pair, untilMs }
}

/** An interface name as a key: IFNAMSIZ. */
function linkKey(name: string): Buffer {
  const key = Buffer.alloc(16)
  key.write(name, 'latin1')
  return key
}

/** A link's name is text and ends with zeros; else it is an address. */
function keyText(key: Buffer): string {
  const name = key.toString('latin1').replace(/\0+$/, '')
  return key.length === 16 && /^[!-~]{1,15}$/.test(name) ? `link ${name}` : addressFromBytes(key)
}

function startsWith(bytes: Buffer, address: string): boolean {
  return bytes.indexOf(addressBytes(address)) === 0
}

function textOf({ set, key }: Pick<Learned, 'set' | 'key'>): string {
  return `${set} ${key.toString('hex')}`
}
