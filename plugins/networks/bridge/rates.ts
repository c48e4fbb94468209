/**
 * How fast a container sends and receives: a token bucket on each end of its link. The outer one is out of its reach; the
 * inner one stands in its network namespace, where CAP_NET_ADMIN (not among a container's by default) could take it away.
 */
import { isSysError } from '#api/sys/sys.ts'
import { findLink, limitRate, perform, unlimitRate } from '#sdk/rtnetlink/rtnetlink.ts'
import { type RateLimits, rateLimits } from './endpoint-options.ts'
import type { AttachmentRow } from './ledger.ts'

const none: RateLimits = { in: undefined, out: undefined }

/** Makes what the row's options say of `before`. Ends that are gone are left alone. */
export async function applyRates(row: AttachmentRow, before: RateLimits = none): Promise<void> {
  const wanted = rateLimits(row.options)
  await Promise.all([
    limitEnd(row.hostLink, undefined, wanted.in, before.in),
    limitEnd(row.interfaceName, row.netnsPath, wanted.out, before.out),
  ])
}

async function limitEnd(name: string, netns: string | undefined, wanted?: number, before?: number): Promise<void> {
  if (wanted === before) return
  const link = await findLink(name, { netns })
  if (link === undefined) return
  const request = wanted === undefined ? unlimitRate(link.index) : limitRate(link.index, wanted)
  await perform([request], { netns }).catch(error => {
    const isGone = wanted === undefined && (isSysError(error, 'ENOENT') || isSysError(error, 'EINVAL'))
    if (!isGone && !isSysError(error, 'ENODEV')) throw error
  })
}
