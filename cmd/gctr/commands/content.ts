/** `content ls|active|get|ingest|rm`. */
import { once } from 'node:events'
import { isGantryError } from '#api/errors/errors.ts'
import {
  ContentDefinition,
  type Info,
  type Status,
  WriteAction,
  type WriteContentRequest,
} from '#api/gen/containerd/services/content/v1/content.ts'
import { formatLabels } from '../output/labels.ts'
import { printLines, printRecords } from '../output/table.ts'
import { formatAge, formatBytes } from '../output/units.ts'
import type { Session } from '../session.ts'

export async function list(session: Session, flags: { quiet?: boolean }, filters: string[]): Promise<void> {
  const found: Info[] = []
  for await (const { info } of session.client(ContentDefinition).list({ filters })) found.push(...info)
  if (flags.quiet) return printLines(found.map(({ digest }) => digest))
  printRecords(
    found,
    {
      DIGEST: ({ digest }) => digest,
      SIZE: ({ size }) => formatBytes(size),
      CREATED: ({ createdAt }) => formatAge(createdAt),
      LABELS: ({ labels }) => formatLabels(labels),
    },
    session.json,
  )
}

export async function active(session: Session): Promise<void> {
  const { statuses } = await session.client(ContentDefinition).listStatuses({})
  const done = ({ offset, total }: Status) => `${formatBytes(offset)}${total > 0n ? ` of ${formatBytes(total)}` : ''}`
  printRecords(
    statuses,
    { REF: ({ ref }) => ref, DONE: done, STARTED: ({ startedAt }) => formatAge(startedAt) },
    session.json,
  )
}

export async function get(session: Session, _flags: unknown, digest: string): Promise<void> {
  for await (const { data } of session.client(ContentDefinition).read({ digest }))
    if (!process.stdout.write(data)) await once(process.stdout, 'drain')
}

export async function ingest(session: Session, flags: { expected?: string }, ref: string): Promise<void> {
  const expected = flags.expected ?? ''
  const part = (fields: Partial<WriteContentRequest>) => ({ ref, expected, ...fields })
  async function* requests() {
    let offset = 0n
    for await (const data of process.stdin as AsyncIterable<Buffer>) {
      yield part({ action: WriteAction.WRITE, offset, data })
      offset += BigInt(data.length)
    }
    // A root of garbage collection: what a person puts there stays until it is removed.
    const labels = { 'containerd.io/gc.root': new Date().toISOString() }
    yield part({ action: WriteAction.COMMIT, offset, total: offset, labels })
  }
  const content = session.client(ContentDefinition)
  let digest = ''
  try {
    for await (const answer of content.write(requests())) digest = answer.digest
  } catch (error) {
    // Nobody would resume it: the bytes came from a pipe. One that somebody else holds stays theirs.
    if (!isGantryError(error, 'UNAVAILABLE')) await content.abort({ ref }).catch(() => {})
    throw error
  }
  console.log(digest)
}

export async function remove(session: Session, _flags: unknown, digests: string[]): Promise<void> {
  for (const digest of digests) {
    await session.client(ContentDefinition).delete({ digest })
    console.log(digest)
  }
}
