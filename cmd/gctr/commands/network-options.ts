/** `networks egress|limit`: what a container may reach, and how fast; at once while it runs, and for its later starts. */
import { invalidArgument } from '#api/errors/errors.ts'
import { NetworksServiceDefinition } from '#api/gen/gantry/services/networks/v1/networks.ts'
import { printJson } from '../output/json.ts'
import { printLines } from '../output/table.ts'
import type { Session } from '../session.ts'

interface EgressFlags {
  network?: string
  off?: boolean
}

/** Entries replace the list; without any it is shown. */
export async function egress(
  session: Session,
  flags: EgressFlags,
  containerId: string,
  entries: string[],
): Promise<void> {
  if (flags.off && entries.length > 0) throw invalidArgument('--off takes the list away: give no entries with it')
  const isChange = flags.off || entries.length > 0
  const options: Record<string, string> = isChange ? { 'gantry.network.egress': entries.join(',') } : {}
  await setOptions(session, containerId, flags.network, options)
}

interface LimitFlags {
  network?: string
  in?: string
  out?: string
}

/** `0` lifts a limit; a direction that is not named stays as it is. */
export async function limit(session: Session, flags: LimitFlags, containerId: string): Promise<void> {
  const value = (rate: string) => (rate === '0' ? '' : rate)
  await setOptions(session, containerId, flags.network, {
    ...(flags.in !== undefined && { 'gantry.network.rate.in': value(flags.in) }),
    ...(flags.out !== undefined && { 'gantry.network.rate.out': value(flags.out) }),
  })
}

/** Without any option to change the answer is what there is. */
async function setOptions(
  session: Session,
  containerId: string,
  network: string | undefined,
  options: Record<string, string>,
): Promise<void> {
  const wish = { containerId, network: network ?? '', options }
  const { endpoints } = await session.client(NetworksServiceDefinition).setOptions(wish)
  if (session.json) return printJson(endpoints.map(each => ({ network: each.network, options: each.options })))
  printLines(
    endpoints.flatMap(each => Object.entries(each.options).map(([key, value]) => `${each.network} ${key}=${value}`)),
  )
}
