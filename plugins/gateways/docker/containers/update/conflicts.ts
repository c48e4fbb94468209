/** Limits that cannot stand beside those a container has already: Docker's 409, in its words. */
import { conflict } from '../../http/http-error.ts'
import type { HostConfig } from '../create/body.ts'

type Limits = Pick<HostConfig, 'Memory' | 'MemorySwap' | 'NanoCpus' | 'CpuPeriod' | 'CpuQuota'>

/** `has`: the container's; `wish`: what is asked for, 0 for what is not. */
export function checkConflicts(id: string, has: Limits, wish: Limits): void {
  const refuse = (reason: string) => conflict(`Cannot update container ${id}: ${reason}`)
  const cannot = (what: string, because: string) =>
    refuse(`Conflicting options: ${what} cannot be updated as ${because} has already been set`)
  if (wish.NanoCpus > 0 && has.CpuPeriod > 0) throw cannot('Nano CPUs', 'CPU Period')
  if (wish.NanoCpus > 0 && has.CpuQuota > 0) throw cannot('Nano CPUs', 'CPU Quota')
  if (wish.CpuPeriod > 0 && has.NanoCpus > 0) throw cannot('CPU Period', 'NanoCPUs')
  if (wish.CpuQuota > 0 && has.NanoCpus > 0) throw cannot('CPU Quota', 'NanoCPUs')
  if (wish.Memory !== 0 && wish.Memory > has.MemorySwap && wish.MemorySwap === 0)
    throw refuse(
      'Memory limit should be smaller than already set memoryswap limit, update the memoryswap at the same time',
    )
}
