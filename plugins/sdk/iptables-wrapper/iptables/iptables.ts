/** The {@link Firewall} by iptables and ip6tables, for hosts without nftables: chains of ours, each rewritten as a whole. */
import { KeyedLock } from '#api/concurrency/keyed-lock.ts'
import type { Logger } from '#api/log/log.ts'
import type { Leftover } from '../../leftover.ts'
import { type Family, families } from '../../network-addresses.ts'
import {
  type Firewall,
  type FirewallNetwork,
  type FirewallState,
  type ForeignPort,
  type PublishedPort,
  singlePorts,
} from '../firewall.ts'
import { RuleWatch } from './rule-watch.ts'
import {
  chainName,
  type Hook,
  hooksOf,
  jumpText,
  publishSuffix,
  readPublished,
  removalText,
  rulesText,
} from './rules.ts'
import { restoreRules, savedRules } from './run-iptables.ts'

export interface IptablesOptions {
  /** Eight hexadecimal digits: our chains begin with them. */
  readonly instance: string
  readonly state: () => FirewallState
  readonly log: Logger
}

export class Iptables implements Firewall {
  readonly #instance: string
  readonly #state: () => FirewallState
  readonly #log: Logger
  readonly #lock = new KeyedLock()
  /** What shall be in force; undefined: nothing has been loaded by this process. */
  #networks: Map<string, FirewallNetwork> | undefined
  #ports = new Map<string, PublishedPort>()
  /** Our lines after the last load, by family. */
  #expected = new Map<Family, string>()

  constructor({ instance, state, log }: IptablesOptions) {
    this.#instance = instance
    this.#state = state
    this.#log = log
  }

  restore(): Promise<void> {
    return this.#lock.run('rules', () => this.#load())
  }

  addNetwork(network: FirewallNetwork): Promise<void> {
    return this.#change(networks => networks.set(network.bridge, network))
  }

  removeNetwork({ bridge }: FirewallNetwork): Promise<void> {
    return this.#change(networks => networks.delete(bridge))
  }

  async publish(ports: readonly PublishedPort[]): Promise<void> {
    if (ports.length > 0) await this.#change(() => this.#putPorts(ports))
  }

  async unpublish(ports: readonly PublishedPort[]): Promise<void> {
    if (ports.length === 0) return
    await this.#change(() => {
      const gone = new Set(singlePorts(ports).map(keyOf))
      const kept = singlePorts([...this.#ports.values()]).filter(port => !gone.has(keyOf(port)))
      // What is left of ranges is single ports; ranges that nothing was taken from stay whole.
      const whole = [...this.#ports.values()].filter(port => singlePorts([port]).every(each => !gone.has(keyOf(each))))
      const inWhole = new Set(singlePorts(whole).map(keyOf))
      this.#ports = new Map()
      this.#putPorts([...whole, ...kept.filter(port => !inWhole.has(keyOf(port)))])
    })
  }

  async ports(): Promise<PublishedPort[]> {
    const own = chainName(this.#instance, publishSuffix)
    return (await published()).filter(({ chain }) => chain === own).flatMap(({ port }) => singlePorts([port]))
  }

  async foreignPorts(): Promise<ForeignPort[]> {
    const own = chainName(this.#instance, publishSuffix)
    const others = (await published()).filter(({ chain }) => chain !== own)
    return others.flatMap(({ chain, port }) => singlePorts([port]).map(single => ({ table: chain, port: single })))
  }

  watch(): Disposable {
    const look = () => this.#lock.run('rules', () => this.#look())
    return new RuleWatch({ hasRules: () => this.#expected.size > 0, look })
  }

  async leftovers(): Promise<Leftover[]> {
    const wanted = new Set(singlePorts(this.#state().ports).map(textOf))
    const stray = (await this.ports()).filter(port => !wanted.has(textOf(port)))
    const remove = () => this.restore()
    return stray.map(port => ({ what: `published port ${port.hostPort}/${port.protocol}`, remove }))
  }

  remove(): Promise<void> {
    return this.#lock.run('rules', async () => {
      this.#networks = undefined
      this.#ports = new Map()
      this.#expected.clear()
      for (const family of families) {
        const lines = await savedRules(family)
        const present = hooksOf(this.#instance, family).filter(hook => isPresent(hook, lines))
        if (this.#ownLines(lines).length > 0) await restoreRules(family, removalText(this.#instance, family, present))
      }
    })
  }

  #change(change: (networks: Map<string, FirewallNetwork>) => void): Promise<void> {
    return this.#lock.run('rules', async () => {
      // The state has an addition already, and may still have what goes.
      if (this.#networks === undefined) this.#take(this.#state())
      if (this.#networks) change(this.#networks)
      await this.#write()
    })
  }

  async #load(): Promise<void> {
    this.#take(this.#state())
    await this.#write()
    this.#log.info({ networks: this.#networks?.size, ports: this.#ports.size }, 'firewall chains loaded')
  }

  #take({ networks, ports }: FirewallState): void {
    this.#networks = new Map(networks.map(network => [network.bridge, network]))
    this.#ports = new Map()
    this.#putPorts(ports)
  }

  #putPorts(ports: readonly PublishedPort[]): void {
    for (const port of ports) this.#ports.set(`${keyOf(port)} ${port.count}`, port)
  }

  async #write(): Promise<void> {
    const state = { networks: [...(this.#networks?.values() ?? [])], ports: [...this.#ports.values()] }
    for (const family of families) {
      const lines = await savedRules(family)
      const missing = hooksOf(this.#instance, family).filter(hook => !isPresent(hook, lines))
      await restoreRules(family, rulesText(this.#instance, family, state, missing))
      this.#expected.set(family, this.#ownLines(await savedRules(family)).join('\n'))
    }
  }

  async #look(): Promise<void> {
    if (this.#expected.size === 0) return
    try {
      for (const family of families) {
        if (this.#ownLines(await savedRules(family)).join('\n') === this.#expected.get(family)) continue
        await this.#load()
        this.#log.warn(
          { instance: this.#instance, family },
          'the firewall chains were changed by others (iptables -F?): made again',
        )
        return
      }
    } catch (error) {
      this.#log.error({ err: error }, 'the firewall chains were changed by others and are not whole')
    }
  }

  #ownLines(lines: readonly string[]): string[] {
    return lines
      .filter(line => line.includes(chainName(this.#instance, '-')))
      .map(line => line.replace(/ \[\d+:\d+\]$/, ''))
  }
}

function isPresent(hook: Hook, lines: readonly string[]): boolean {
  return lines.includes(`-A ${jumpText(hook)}`)
}

async function published() {
  const found = await Promise.all(families.map(async family => readPublished(family, await savedRules(family))))
  return found.flat()
}

function keyOf({ protocol, hostAddress, hostPort }: PublishedPort): string {
  return `${protocol} ${hostAddress} ${hostPort}`
}

function textOf(port: PublishedPort): string {
  return `${keyOf(port)} ${port.containerAddress} ${port.containerPort}`
}
