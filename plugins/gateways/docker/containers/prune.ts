/** `docker container prune`: all that do not run. */
import { Filters, hasLabel } from '../http/filters.ts'
import { badRequest } from '../http/http-error.ts'
import type { Query } from '../http/query.ts'
import type { ContainerParts } from './containers.ts'
import { parsePointInTime } from './point-in-time.ts'
import { isRunning } from './state.ts'
import { millisecondsOf } from './times.ts'

export async function pruneContainers({ store, lifecycle, engine }: ContainerParts, query: Query): Promise<object> {
  const filters = Filters.read(query, ['label', 'label!', 'until'])
  const [until] = filters.values('until').map(text => parsePointInTime(text, Date.now()))
  if (filters.values('until').length > 1) throw badRequest('more than one until filter specified')
  const removable = (await store.all()).filter(({ state, record, core }) => {
    const labels = record.config.Labels ?? {}
    if (isRunning(state) || state.name === 'restarting') return false
    if (until !== undefined && core.createdAt && millisecondsOf(core.createdAt) > until) return false
    return (
      filters.every('label', wanted => hasLabel(labels, wanted)) &&
      !filters.values('label!').some(unwanted => hasLabel(labels, unwanted))
    )
  })
  const deleted: string[] = []
  let reclaimed = 0
  for (const found of removable) {
    const { snapshotter = '', id = '' } = found.core.config ?? {}
    const size = await engine.core.snapshots.usage({ snapshotter, key: id }).then(
      usage => Number(usage.size),
      () => 0,
    )
    await lifecycle.remove(found, { force: false, volumes: false })
    deleted.push(found.id)
    reclaimed += size
  }
  engine.events.publish({
    type: 'container',
    action: 'prune',
    actor: { id: '', attributes: { reclaimed: String(reclaimed) } },
  })
  return { ContainersDeleted: deleted.length === 0 ? null : deleted, SpaceReclaimed: reclaimed }
}
