/** The firewall over nf_tables: one table, made by nft(8) in one transaction, then changed by netlink. */
import type { Logger } from '#api/log/log.ts'
import { isSysError } from '#api/sys/sys.ts'
import type { Leftover } from '../../leftover.ts'
import type { Firewall, FirewallNetwork, FirewallState, ForeignPort, PublishedPort } from '../firewall.ts'
import { type ElementsBySet, networkElements, portElements, portMaps, readPort } from './elements.ts'
import { findLeftovers } from './leftovers.ts'
import { NFPROTO_INET } from './messages.ts'
import { changeElements, deleteTable, type ElementChange, listElements, listTables } from './nfnetlink.ts'
import { rulesetText } from './ruleset.ts'
import { runNft } from './run-nft.ts'
import { TableWatch } from './table-watch.ts'

export interface NftablesOptions {
  /** Ours alone; other instances' begin with `gantry-` too. */
  readonly table: string
  readonly state: () => FirewallState
  readonly log: Logger
}

export class Nftables implements Firewall {
  readonly #table: string
  readonly #state: () => FirewallState
  readonly #log: Logger
  /** The restore that runs or has run; the first verb of a process makes it. */
  #restored: Promise<void> | undefined
  #watch: TableWatch | undefined

  constructor({ table, state, log }: NftablesOptions) {
    this.#table = table
    this.#state = state
    this.#log = log
  }

  restore(): Promise<void> {
    const restored = this.#load()
    this.#restored = restored
    restored.catch(() => {
      if (this.#restored === restored) this.#restored = undefined
    })
    return restored
  }

  addNetwork(network: FirewallNetwork): Promise<void> {
    return this.#add(networkElements(network))
  }

  async removeNetwork(network: FirewallNetwork): Promise<void> {
    await this.#delete(networkElements(network))
  }

  publish(ports: readonly PublishedPort[]): Promise<void> {
    return this.#add(portElements(ports))
  }

  async unpublish(ports: readonly PublishedPort[]): Promise<void> {
    await this.#delete(portElements(ports))
  }

  ports(): Promise<PublishedPort[]> {
    return portsOf(this.#table)
  }

  async foreignPorts(): Promise<ForeignPort[]> {
    const tables = (await listTables())
      .filter(({ family, name }) => family === NFPROTO_INET && name.startsWith('gantry-') && name !== this.#table)
      .map(({ name }) => name)
    const found = tables.map(async table => (await portsOf(table)).map(port => ({ table, port })))
    return (await Promise.all(found)).flat()
  }

  watch(): Disposable {
    const repair = () => this.restore()
    const watch = new TableWatch({ table: this.#table, state: this.#state, repair, log: this.#log })
    this.#watch = watch
    return watch
  }

  leftovers(): Promise<Leftover[]> {
    return findLeftovers({
      table: this.#table,
      state: this.#state,
      made: this.#watch?.expected,
      restore: () => this.restore(),
    })
  }

  async remove(): Promise<void> {
    await this.#restored?.catch(() => {})
    this.#watch?.expectNothing()
    this.#restored = undefined
    await deleteTable(this.#table).catch(ignoring('ENOENT'))
  }

  async #load(): Promise<void> {
    const state = this.#state()
    await runNft(rulesetText(this.#table, state))
    await this.#watch?.expectAsItIs()
    this.#log.info(
      { table: this.#table, networks: state.networks.length, ports: state.ports.length },
      'firewall table loaded',
    )
  }

  /** Falls back to loading everything when the table is not as expected: the caller's state holds the addition already. */
  async #add(elements: ElementsBySet): Promise<void> {
    if (elements.size === 0) return
    if (this.#restored === undefined) return await this.restore()
    await this.#restored
    try {
      await changeElements(this.#table, changes('add', elements))
    } catch (error) {
      if (!isSysError(error) || !['ENOENT', 'EEXIST', 'EBUSY'].includes(error.code)) throw error
      this.#log.warn(
        { table: this.#table, reason: error.message },
        'firewall table was changed by others, loading it anew',
      )
      await this.restore()
    }
  }

  async #delete(elements: ElementsBySet): Promise<void> {
    // A load under way may have asked for the state before the caller changed it.
    await this.#restored?.catch(() => {})
    this.#watch?.expectDeletion()
    try {
      await changeElements(this.#table, changes('delete', elements))
    } catch (error) {
      if (!isSysError(error, 'ENOENT')) throw error
      // One that is missing already makes the kernel refuse all: take the rest away one by one.
      for (const [set, members] of elements)
        for (const element of grouped(set, members))
          await changeElements(this.#table, [{ verb: 'delete', set, elements: element }]).catch(ignoring('ENOENT'))
    }
  }
}

function changes(verb: ElementChange['verb'], elements: ElementsBySet): ElementChange[] {
  return [...elements].map(([set, members]) => ({ verb, set, elements: members }))
}

/** A plain range is two elements that come and go together. */
function grouped<T>(set: string, members: readonly T[]): readonly (readonly T[])[] {
  return set.startsWith('subnets') ? [members] : members.map(member => [member])
}

/** Of a table that may have gone. */
async function portsOf(table: string): Promise<PublishedPort[]> {
  const ports: PublishedPort[] = []
  for (const map of portMaps) {
    const elements = await listElements(table, map).catch(ignoring('ENOENT'))
    ports.push(...(elements ?? []).flatMap(element => readPort(element) ?? []))
  }
  return ports
}

function ignoring(code: string): (error: unknown) => undefined {
  return error => {
    if (!isSysError(error, code)) throw error
  }
}
