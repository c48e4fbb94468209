/** Decides what a new attachment gets, and writes it down. */
import { isDeepStrictEqual } from 'node:util'
import { alreadyExists } from '#api/errors/errors.ts'
import type { AddRequest } from '#sdk/network.ts'
import { parseAddress } from '#sdk/network-addresses.ts'
import type { StepHook } from '#sdk/step-hook.ts'
import { chooseAddresses, macFor } from './addresses.ts'
import { checkedOptions } from './endpoint-options.ts'
import type { HostPorts } from './host-ports.ts'
import { type AssignedAddress, type AttachmentRow, describe, type Ledger, type NetworkRow } from './ledger.ts'
import { vethName } from './names.ts'
import type { BridgeNetworks } from './networks.ts'
import { directed, isSamePorts, type TakenPort, takePorts } from './port-wishes.ts'
import type { Removals } from './removals.ts'
import { mappingOf } from './result.ts'

export interface AdmissionParts {
  readonly instance: string
  readonly ledger: Ledger
  readonly networks: BridgeNetworks
  readonly hostPorts: HostPorts
  readonly removals: Removals
  readonly step: StepHook
}

export class Admission {
  readonly #parts: AdmissionParts

  constructor(parts: AdmissionParts) {
    this.#parts = parts
  }

  /** ALREADY_EXISTS: an address, MAC or port is taken. RESOURCE_EXHAUSTED: a subnet, or the host's ports. */
  async admit(request: AddRequest, { network }: NetworkRow): Promise<AttachmentRow> {
    const { hostPorts, step } = this.#parts
    const ports = await takePorts(hostPorts, network, request.ports, describe(request))
    step('host ports taken')
    try {
      return await this.#record(request, ports)
    } catch (error) {
      hostPorts.release(ports)
      throw error
    }
  }

  /** Chooses the addresses and writes all down, with no wait between: another add must not choose the same. */
  async #record(request: AddRequest, ports: readonly TakenPort[]): Promise<AttachmentRow> {
    const { ledger, networks, removals, step } = this.#parts
    for (;;) {
      const network = networks.get(request.networkId)
      const addresses = chooseAddresses(ledger, network, request.addresses)
      const chosen = new Set(addresses.map(({ address }) => address))
      const leaving = ledger
        .departures()
        .find(row => row.networkId === request.networkId && row.addresses.some(({ address }) => chosen.has(address)))
      if (leaving === undefined) {
        const row = this.#rowFor(request, network, addresses, ports)
        ledger.attach(row, network)
        step('attachment recorded')
        return row
      }
      await removals.remove(leaving)
    }
  }

  #rowFor(
    request: AddRequest,
    { network }: NetworkRow,
    addresses: readonly AssignedAddress[],
    ports: readonly TakenPort[],
  ): AttachmentRow {
    const { ledger, instance } = this.#parts
    const { networkId, containerId, interfaceName, namespace, netnsPath } = request
    const mac = request.mac.toLowerCase() || macFor(addresses[0]?.address ?? '0.0.0.0')
    const twin = ledger.index(networkId).holderOfMac(mac)
    if (twin) throw alreadyExists(`MAC ${mac} of network "${network.name}" belongs to container ${describe(twin)}`)
    return {
      networkId,
      containerId,
      interfaceName,
      namespace,
      netnsPath,
      addresses,
      mac,
      hostLink: vethName(instance, ledger.nextSequence()),
      defaultRoute: request.defaultRoute && !network.internal,
      metric: request.defaultRouteMetric,
      ports: directed(ports, addresses),
      names: request.aliases,
      links: request.links,
      dns: request.dns,
      options: checkedOptions(request.options),
    }
  }
}

/** A repeat must ask for what is there: ALREADY_EXISTS otherwise. */
export function refuseChange(row: AttachmentRow, { addresses, mac, ports, options }: AddRequest): void {
  const differs = (what: string) =>
    alreadyExists(`container ${describe(row)} is attached already, with ${what}; detach it first`, { bare: true })
  const own = row.addresses.map(({ address }) => address)
  if (!addresses.every(address => own.includes(parseAddress(address)))) throw differs(`address ${own.join(', ')}`)
  if (mac !== '' && mac.toLowerCase() !== row.mac) throw differs(`MAC ${row.mac}`)
  const before = row.options ?? {}
  if (!isDeepStrictEqual(options, before)) throw differs(`options ${JSON.stringify(before)}`)
  if (!isSamePorts(ports, row.ports)) throw differs(`ports ${JSON.stringify(row.ports.map(mappingOf))}`)
}
