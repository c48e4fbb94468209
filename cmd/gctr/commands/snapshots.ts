/** `snapshots ls|tree|info|usage|mounts|rm`. */
import { failedPrecondition } from '#api/errors/errors.ts'
import { type Info, Kind, SnapshotsDefinition } from '#api/gen/containerd/services/snapshots/v1/snapshots.ts'
import { printJson } from '../output/json.ts'
import { printRecords } from '../output/table.ts'
import { formatAge, formatBytes, shortDigest } from '../output/units.ts'
import type { Session } from '../session.ts'

interface Flags {
  snapshotter: string
}

const kindName = ({ kind }: Info) =>
  (Object.entries(Kind).find(([, value]) => value === kind)?.[0] ?? 'unknown').toLowerCase()

async function all(session: Session, filters: string[] = []): Promise<Info[]> {
  const found: Info[] = []
  for await (const { info } of session
    .client(SnapshotsDefinition)
    .list({ snapshotter: snapshotterOf(session), filters }))
    found.push(...info)
  return found
}

/** The noun's own option, which commander keeps with the noun. */
function snapshotterOf(session: Session): string {
  return (session.options as Session['options'] & Flags).snapshotter
}

export async function list(session: Session, _flags: unknown, filters: string[]): Promise<void> {
  printRecords(
    await all(session, filters),
    {
      KEY: ({ name }) => shortDigest(name),
      PARENT: ({ parent }) => shortDigest(parent),
      KIND: kindName,
      CREATED: ({ createdAt }) => formatAge(createdAt),
    },
    session.json,
  )
}

export async function tree(session: Session): Promise<void> {
  const snapshots = await all(session)
  if (session.json) return printJson(snapshots)
  const print = (parent: string, depth: number) => {
    for (const { name } of snapshots.filter(info => info.parent === parent)) {
      console.log(`${'  '.repeat(depth)}${name}`)
      print(name, depth + 1)
    }
  }
  print('', 0)
}

export async function info(session: Session, _flags: unknown, key: string): Promise<void> {
  const { info } = await session.client(SnapshotsDefinition).stat({ snapshotter: snapshotterOf(session), key })
  printJson(info === undefined ? {} : { ...info, kind: kindName(info) })
}

export async function usage(session: Session, _flags: unknown, keys: string[]): Promise<void> {
  const client = session.client(SnapshotsDefinition)
  const snapshotter = snapshotterOf(session)
  const wanted = keys.length > 0 ? keys : (await all(session)).map(({ name }) => name)
  const rows = await Promise.all(wanted.map(async key => ({ key, ...(await client.usage({ snapshotter, key })) })))
  printRecords(
    rows,
    { KEY: ({ key }) => shortDigest(key), SIZE: ({ size }) => formatBytes(size), INODES: ({ inodes }) => `${inodes}` },
    session.json,
  )
}

/** As commands that would perform them, `DIR` standing for where. */
export async function mounts(session: Session, _flags: unknown, key: string): Promise<void> {
  const client = session.client(SnapshotsDefinition)
  const snapshotter = snapshotterOf(session)
  // The daemon names its backend's key here, as containerd does; a user knows this one.
  if ((await client.stat({ snapshotter, key })).info?.kind === Kind.COMMITTED)
    throw failedPrecondition(`snapshot "${key}" is committed: only active snapshots and views have mounts`)
  const { mounts } = await client.mounts({ snapshotter, key })
  if (session.json) return printJson(mounts)
  for (const mount of mounts)
    console.log(`mount -t ${mount.type} ${mount.source} DIR${mount.target} -o ${mount.options.join(',')}`)
}

export async function remove(session: Session, _flags: unknown, keys: string[]): Promise<void> {
  for (const key of keys) {
    await session.client(SnapshotsDefinition).remove({ snapshotter: snapshotterOf(session), key })
    console.log(key)
  }
}
