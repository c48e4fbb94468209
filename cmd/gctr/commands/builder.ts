/** `gctr builder ls|prune`: the cache of builds. */
import { invalidArgument } from '#api/errors/errors.ts'
import type { Timestamp } from '#api/gen/google/protobuf/timestamp.ts'
import { reachBuilder } from '../builds/builder-client.ts'
import { printJson } from '../output/json.ts'
import { printRecords } from '../output/table.ts'
import { formatBytes, parseSince } from '../output/units.ts'
import type { Session } from '../session.ts'

export async function list(session: Session): Promise<void> {
  using client = await reachBuilder(session)
  const { entries } = await client.builder.list({})
  if (session.json) return printJson(entries)
  printRecords(
    entries,
    {
      KEY: ({ key }) => key.slice(0, 12),
      SIZE: ({ sizeBytes }) => formatBytes(sizeBytes),
      USES: ({ uses }) => String(uses),
      INSTRUCTION: ({ instruction }) => instruction.slice(0, 80),
    },
    false,
  )
}

export async function prune(session: Session, flags: { keep: string; filter: string[] }): Promise<void> {
  if (!/^\d+$/.test(flags.keep)) throw invalidArgument(`--keep "${flags.keep}" is not a number of bytes`)
  using client = await reachBuilder(session)
  const { keys, freedBytes } = await client.builder.prune({
    keepBytes: BigInt(flags.keep),
    unusedSince: unusedSince(flags.filter),
  })
  if (session.json) return printJson({ keys, freedBytes })
  console.log(`${keys.length} steps forgotten, ${formatBytes(freedBytes)} given to the next collection`)
}

/** `until=` and `unused-for=`, which mean the same, as for `docker builder prune`; undefined: neither. */
function unusedSince(filters: readonly string[]) {
  let since: Timestamp | undefined
  for (const text of filters) {
    const [, time] = /^(?:until|unused-for)=(.+)$/.exec(text) ?? []
    if (time === undefined) throw invalidArgument(`--filter "${text}": it is until=TIME or unused-for=TIME`)
    since = parseSince(time, '--filter')
  }
  return since
}
