/** Finds and removes what is ours by its name and belongs to nothing in the ledger. */
import { type Firewall, type PublishedPort, singlePorts } from '#sdk/iptables-wrapper/firewall.ts'
import { deleteLink, type LinkInfo, listLinks, perform } from '#sdk/rtnetlink/rtnetlink.ts'
import type { Ledger } from './ledger.ts'
import { aliasPrefix, vethPrefix } from './names.ts'

export interface SweepParts {
  readonly instance: string
  readonly ledger: Ledger
  readonly firewall: Firewall
}

/**
 * Sweeps look at everything, whichever network asked: those who ask before one has begun share it (a start asks for each of
 * thousands of networks at once). What it removed is told to the first of them.
 */
export class Sweeps {
  readonly #parts: SweepParts
  #waiting: Promise<string[]> | undefined
  #last: Promise<unknown> = Promise.resolve()

  constructor(parts: SweepParts) {
    this.#parts = parts
  }

  async run(): Promise<string[]> {
    if (this.#waiting) {
      await this.#waiting
      return []
    }
    const before = this.#last
    const sweeping = before.then(() => {
      this.#waiting = undefined
      return sweep(this.#parts)
    })
    this.#waiting = sweeping
    this.#last = sweeping.catch(() => {})
    return await sweeping
  }
}

/** A line for each thing removed. The ledger is written before the kernel: what it lacks has no owner. */
async function sweep({ instance, ledger, firewall }: SweepParts): Promise<string[]> {
  const links = strayLinks(await listLinks(), instance, ledger)
  for (const link of links) await perform([deleteLink(link.name)]).catch(() => {})
  const owned = new Set(singlePorts(ledger.attachments().flatMap(row => row.ports)).map(portText))
  const ports = (await firewall.ports()).filter(port => !owned.has(portText(port)))
  await firewall.unpublish(ports)
  return [
    ...links.map(link => `link ${link.name}`),
    ...ports.map(port => `published port ${port.hostPort}/${port.protocol}`),
  ]
}

function strayLinks(links: readonly LinkInfo[], instance: string, ledger: Ledger): LinkInfo[] {
  const owned = new Set([
    ...ledger.networks().map(({ bridge }) => bridge),
    ...ledger.attachments().map(({ hostLink }) => hostLink),
    ...ledger.departures().map(({ hostLink }) => hostLink),
  ])
  const ours = (link: LinkInfo) =>
    link.name.startsWith(vethPrefix(instance)) || link.alias.startsWith(aliasPrefix(instance))
  return links.filter(link => ours(link) && !owned.has(link.name))
}

/** A single port with all that it is. */
export function portText(port: PublishedPort): string {
  const { protocol, hostAddress, hostPort, containerAddress, containerPort } = port
  return `${protocol} ${hostAddress} ${hostPort} ${containerAddress} ${containerPort}`
}
