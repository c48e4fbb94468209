/** `networks ls|create|inspect|rm`. */
import { invalidArgument } from '#api/errors/errors.ts'
import { NetworksServiceDefinition } from '#api/gen/gantry/services/networks/v1/networks.ts'
import { printJson } from '../output/json.ts'
import { parsePairs } from '../output/labels.ts'
import { printLines, printRecords } from '../output/table.ts'
import { formatAge, shortId } from '../output/units.ts'
import type { Session } from '../session.ts'

export async function list(session: Session, flags: { quiet?: boolean }): Promise<void> {
  const { networks } = await session.client(NetworksServiceDefinition).list({})
  if (flags.quiet) return printLines(networks.map(({ network }) => network?.name ?? ''))
  printRecords(
    networks,
    {
      ID: ({ network }) => shortId(network?.id ?? ''),
      NAME: ({ network }) => network?.name ?? '',
      DRIVER: ({ driver }) => driver,
      SUBNETS: ({ network }) => network?.subnets.map(({ cidr }) => cidr).join(',') ?? '',
      ATTACHED: ({ attachments }) => attachments.length,
      CREATED: ({ createdAt }) => formatAge(createdAt),
    },
    session.json,
  )
}

interface CreateFlags {
  driver: string
  subnet: string[]
  gateway: string[]
  ipRange: string[]
  mtu?: string
  ipv4: boolean
  ipv6: boolean
  internal?: boolean
  opt: string[]
  label: string[]
}

export async function create(session: Session, flags: CreateFlags, name: string): Promise<void> {
  const subnets = subnetsOf(flags)
  const { network } = await session.client(NetworksServiceDefinition).create({
    name,
    driver: flags.driver,
    subnets,
    mtu: mtuBytes(flags.mtu ?? '0'),
    internal: flags.internal ?? false,
    disableIpv4: !flags.ipv4,
    disableIpv6: !flags.ipv6,
    options: parsePairs(flags.opt, '--opt'),
    labels: parsePairs(flags.label, '--label'),
  })
  console.log(network?.network?.id ?? '')
}

/** A gateway and a range belong to the first subnet of their family; INVALID_ARGUMENT: there is none. */
function subnetsOf({ subnet, gateway, ipRange }: Pick<CreateFlags, 'subnet' | 'gateway' | 'ipRange'>) {
  const is6 = (text: string) => text.includes(':')
  const first = (text: string) => subnet.findIndex(cidr => is6(cidr) === is6(text))
  const stray = [...gateway, ...ipRange].find(text => first(text) < 0)
  if (stray !== undefined) throw invalidArgument(`"${stray}" lies in no --subnet: give the subnet too`)
  const at = (texts: readonly string[], index: number) => texts.find(text => first(text) === index) ?? ''
  return subnet.map((cidr, index) => ({ cidr, gateway: at(gateway, index), range: at(ipRange, index) }))
}

function mtuBytes(text: string): number {
  if (!/^\d{1,5}$/.test(text)) throw invalidArgument(`--mtu "${text}" is no number of bytes, such as 1500`)
  return Number(text)
}

export async function inspect(session: Session, _flags: unknown, name: string): Promise<void> {
  printJson((await session.client(NetworksServiceDefinition).get({ network: name })).network)
}

/** Everybody's, whatever the tenant namespace. */
export async function collect(session: Session, flags: { dryRun?: boolean }): Promise<void> {
  const { removed } = await session.client(NetworksServiceDefinition).gc({ dryRun: flags.dryRun ?? false })
  if (session.json) return printJson(removed)
  printLines(removed)
}

export async function remove(session: Session, _flags: unknown, names: string[]): Promise<void> {
  for (const network of names) {
    await session.client(NetworksServiceDefinition).remove({ network })
    console.log(network)
  }
}
