import { messageOf } from '#api/errors/errors.ts'
import {
  type CommitIntent,
  type ContainerRecord,
  type Metadata,
  objectKey,
  type SnapshotRecord,
} from '#core/metadata/metadata.ts'
import type { SnapshotInfo, SnapshotterFronts } from '#core/snapshots/snapshots.ts'
import type { TaskManager } from '#core/tasks/tasks.ts'
import type { Check, Finding, Round } from '../doctor.ts'
import { type Stored, stored } from '../stored.ts'

interface Parts {
  readonly metadata: Metadata
  readonly snapshots: SnapshotterFronts
  readonly tasks: Pick<TaskManager, 'has'>
  readonly collect: () => Promise<unknown>
}

type StoredSnapshot = Stored<SnapshotRecord>

/** Records and backends, parents, the children index, unfinished commits. */
export function snapshotsCheck(parts: Parts): Check {
  return {
    name: 'snapshots',
    async *run(round) {
      const bySnapshotter = new Map<string, StoredSnapshot[]>()
      for await (const row of stored<SnapshotRecord>(parts.metadata, 'snapshots')) {
        round.count()
        const [snapshotter = ''] = row.rest
        bySnapshotter.set(snapshotter, [...(bySnapshotter.get(snapshotter) ?? []), row])
      }
      for (const [snapshotter, rows] of bySnapshotter) yield* parentFindings(parts, snapshotter, rows)
      yield* indexFindings(parts)
      yield* commitFindings(parts)
      yield* backendsFindings(parts, bySnapshotter, round)
    },
  }
}

const nameOf = (snapshotter: string, { ns, rest }: StoredSnapshot) => `snapshot ${ns}/${snapshotter}/${rest[1]}`

function* parentFindings({ metadata }: Parts, snapshotter: string, rows: StoredSnapshot[]): Generator<Finding> {
  for (const row of rows) {
    const { ns, rest, value } = row
    if (value.parent === '') continue
    const parent = metadata.read(tx => tx.get<SnapshotRecord>(objectKey(ns, 'snapshots', snapshotter, value.parent)))
    if (parent?.kind !== 'committed') {
      const problem =
        parent === undefined ? `has no parent ${value.parent}` : `is built on ${value.parent}, which is ${parent.kind}`
      yield {
        severity: 'damage',
        object: nameOf(snapshotter, row),
        problem,
        advice: 'remove it and what is built on it (gctr snapshots rm), then unpack its image again',
      }
      continue
    }
    const entry = objectKey(ns, 'snapshot-children', snapshotter, parent.sequence, rest[1] ?? '')
    if (metadata.read(tx => tx.get(entry)) === undefined)
      yield {
        severity: 'damage',
        object: nameOf(snapshotter, row),
        problem: `is missing in the index of children of ${value.parent}, which could be removed under it`,
        advice: 'repair adds it to the index',
        repair: () => void metadata.write(tx => tx.put(entry, true)),
      }
  }
}

async function* indexFindings({ metadata }: Parts): AsyncGenerator<Finding> {
  for await (const { ns, rest } of stored(metadata, 'snapshot-children')) {
    const [snapshotter = '', sequence = '', child = ''] = rest
    const isTrue = metadata.read(tx => {
      const record = tx.get<SnapshotRecord>(objectKey(ns, 'snapshots', snapshotter, child))
      if (record === undefined || record.parent === '') return false
      return (
        tx.get<SnapshotRecord>(objectKey(ns, 'snapshots', snapshotter, record.parent))?.sequence === Number(sequence)
      )
    })
    if (isTrue) continue
    yield {
      severity: 'damage',
      object: `children index ${ns}/${snapshotter}/${sequence}/${child}`,
      problem: 'names a child that is none, so its parent cannot be removed',
      advice: 'repair takes it out of the index',
      repair: () =>
        void metadata.write(tx => tx.delete(objectKey(ns, 'snapshot-children', snapshotter, Number(sequence), child))),
    }
  }
}

async function* commitFindings({ metadata }: Parts): AsyncGenerator<Finding> {
  for await (const { ns, rest, value } of stored<CommitIntent>(metadata, 'commits'))
    yield {
      severity: 'note',
      object: `commit ${ns}/${rest.join('/')}`,
      problem: `to ${value.name} is not finished`,
      advice: 'it is finished or dropped when the snapshotter is next used',
    }
}

async function* backendsFindings(
  parts: Parts,
  bySnapshotter: Map<string, StoredSnapshot[]>,
  round: Round,
): AsyncGenerator<Finding> {
  const { snapshots } = parts
  const known = snapshots.names()
  for (const [snapshotter] of bySnapshotter)
    if (!known.includes(snapshotter))
      yield {
        severity: 'note',
        object: `snapshotter ${snapshotter}`,
        problem: 'has snapshots recorded but is not configured',
        advice: 'configure it again, or remove its snapshots and containers',
      }
  for (const snapshotter of known) {
    const rows = bySnapshotter.get(snapshotter) ?? []
    // A process nobody needed is not started to be asked.
    if (rows.length === 0 && !snapshots.isUsed(snapshotter)) continue
    try {
      const held = await snapshots.held(snapshotter)
      for (const _ of held) round.count()
      for (const row of rows) yield* pairFindings(snapshotter, row, held, rows)
      yield* strayFindings(parts, snapshotter)
    } catch (error) {
      yield {
        severity: 'damage',
        object: `snapshotter ${snapshotter}`,
        problem: `cannot be asked: ${messageOf(error)}`,
        advice: 'see gctr plugins ls and its log',
      }
    }
  }
}

function* pairFindings(
  snapshotter: string,
  row: StoredSnapshot,
  held: ReadonlyMap<string, SnapshotInfo>,
  rows: readonly StoredSnapshot[],
): Generator<Finding> {
  const { value, ns } = row
  const advice = 'remove it and what is built on it (gctr snapshots rm), then unpack its image again'
  const object = nameOf(snapshotter, row)
  const info = held.get(value.backendKey)
  if (info === undefined) {
    yield { severity: 'damage', object, problem: `is not in the snapshotter (as ${value.backendKey})`, advice }
    return
  }
  if (info.kind !== value.kind)
    yield { severity: 'damage', object, problem: `is ${value.kind} here and ${info.kind} in the snapshotter`, advice }
  const parent = rows.find(other => other.ns === ns && other.rest[1] === value.parent)?.value.backendKey ?? ''
  if (info.parent !== parent)
    yield {
      severity: 'damage',
      object,
      problem: `is built on "${parent}" here and on "${info.parent}" in the snapshotter`,
      advice,
    }
}

async function* strayFindings(parts: Parts, snapshotter: string): AsyncGenerator<Finding> {
  const due = parts.snapshots.isSweepDue(snapshotter)
  const used = await usedSnapshots(parts, snapshotter)
  for (const { name, sizeBytes } of await parts.snapshots.strays(snapshotter)) {
    const object = `snapshot ${snapshotter}: ${name}`
    const user = used.get(name.replace(/^([^/]*)\/[^/]*\//, '$1/'))
    yield user === undefined ? stray(parts, snapshotter, object, sizeBytes, due) : missed(object, user)
  }
}

function stray(
  { snapshots, collect }: Parts,
  snapshotter: string,
  object: string,
  sizeBytes: number,
  due: boolean,
): Finding {
  return {
    severity: due ? 'note' : 'damage',
    object,
    problem: `has no record${due ? '; the next sweep takes it' : ''} (${sizeBytes} bytes)`,
    advice: 'repair sweeps now',
    async repair() {
      snapshots.markDirty([snapshotter])
      await collect()
    },
  }
}

/** The next sweep would take a container's root. */
function missed(object: string, user: string): Finding {
  return {
    severity: 'damage',
    object,
    problem: `has no record, but ${user} uses it`,
    advice: `save what is in ${user} before the next collection, then make it again`,
  }
}

/** Which running container uses which `<ns>/<key>`. */
async function usedSnapshots({ metadata, tasks }: Parts, snapshotter: string): Promise<Map<string, string>> {
  const used = new Map<string, string>()
  for await (const { ns, rest, value } of stored<ContainerRecord>(metadata, 'containers'))
    if (value.snapshotter === snapshotter && tasks.has(ns, rest[0] ?? ''))
      used.set(`${ns}/${value.snapshotKey}`, `container ${ns}/${rest[0]}`)
  return used
}
