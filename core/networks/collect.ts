/**
 * Garbage of networks while the daemon runs: attachments of containers that are not there, networks that a plugin keeps and
 * nobody here knows, and what each plugin finds of its own. {@link Networks.reconcile} does the same at start, when nothing
 * can be in the making.
 */
import { messageOf } from '#api/errors/errors.ts'
import type { Logger } from '#api/log/log.ts'
import { type Attacher, backendId } from './attacher.ts'
import type { MadeNetworks } from './made-networks.ts'
import type { AttachmentRow, NetworkStore } from './network-store.ts'
import type { CollectOptions } from './networks.ts'

export interface CollectParts extends CollectOptions {
  readonly store: NetworkStore
  readonly made: MadeNetworks
  readonly attacher: Attacher
  readonly logger: Logger
  /** Runs while nothing else happens to the container. */
  alone(row: AttachmentRow, work: () => Promise<void>): Promise<void>
}

/** Plugins of which there is nothing to collect. */
const passive: readonly string[] = ['host', 'none']

export async function collect(parts: CollectParts): Promise<string[]> {
  const { store, dryRun } = parts
  const gone: AttachmentRow[] = []
  for (const row of store.attachments()) if (await isGone(row, parts)) gone.push(row)
  if (!dryRun) for (const row of gone) await parts.alone(row, () => parts.attacher.leave([row]))
  const drivers = new Set(['bridge', ...store.all().map(({ driver }) => driver)])
  const found = [...drivers].filter(driver => !passive.includes(driver)).map(driver => ofPlugin(driver, parts))
  return [...gone.map(attachmentText), ...(await Promise.all(found)).flat()]
}

/** Its removal is owed, or its container is not there. */
async function isGone(row: AttachmentRow, { isAlive }: CollectParts): Promise<boolean> {
  return row.state === 'leaving' || !(await isAlive({ namespace: row.ns, containerId: row.containerId }))
}

function attachmentText({ ns, containerId, interfaceName, networkId }: AttachmentRow): string {
  return `attachment of ${ns}/${containerId} (${interfaceName}) to network ${networkId.slice(0, 12)}`
}

/** One that cannot be reached is logged: its leftovers wait. Several networks of it name the same things once. */
async function ofPlugin(driver: string, parts: CollectParts): Promise<string[]> {
  try {
    const lost = await lostNetworks(driver, parts)
    const known = parts.store.all().filter(row => row.driver === driver && row.isMade)
    const lines = await Promise.all(known.map(({ network }) => ofNetwork(driver, network.id, parts)))
    return [...new Set([...lost, ...lines.flat()].map(line => `${driver}: ${line}`))]
  } catch (error) {
    parts.logger.warn({ driver, reason: messageOf(error) }, 'a network plugin collects nothing')
    return []
  }
}

/** Without its record nobody can ask for a network, nor be on it. */
async function lostNetworks(driver: string, { store, made, dryRun }: CollectParts): Promise<string[]> {
  const backend = made.backend(driver)
  const { networks } = await backend.listNetworks({})
  const lines: string[] = []
  for (const { id: networkId, name } of networks.filter(({ id }) => store.byId(id) === undefined)) {
    const { removed } = await backend.gc({ networkId, validAttachments: [], dryRun })
    if (!dryRun) await backend.removeNetwork({ networkId })
    lines.push(...removed, `network "${name}" (${networkId.slice(0, 12)}) that has no record`)
  }
  return lines
}

async function ofNetwork(driver: string, networkId: string, { store, made, dryRun }: CollectParts): Promise<string[]> {
  const validAttachments = store
    .attachments()
    .filter(row => row.networkId === networkId && row.state !== 'leaving')
    .map(row => ({ containerId: backendId(row), interfaceName: row.interfaceName }))
  return (await made.backend(driver).gc({ networkId, validAttachments, dryRun })).removed
}
