/** `leases ls|create|resources|rm`. */
import { randomUUID } from 'node:crypto'
import { LeasesDefinition } from '#api/gen/containerd/services/leases/v1/leases.ts'
import { formatLabels } from '../output/labels.ts'
import { printRecords } from '../output/table.ts'
import { formatAge, parseDuration } from '../output/units.ts'
import type { Session } from '../session.ts'

export async function list(session: Session, _flags: unknown, filters: string[]): Promise<void> {
  const { leases } = await session.client(LeasesDefinition).list({ filters })
  printRecords(
    leases,
    {
      ID: ({ id }) => id,
      CREATED: ({ createdAt }) => formatAge(createdAt),
      LABELS: ({ labels }) => formatLabels(labels),
    },
    session.json,
  )
}

/** An expiry is the label `containerd.io/gc.expire`, RFC 3339. */
export async function create(session: Session, flags: { id?: string; expires: string }): Promise<void> {
  const seconds = parseDuration(flags.expires, '--expires')
  const expiry = new Date(Date.now() + seconds * 1000).toISOString()
  const labels: Record<string, string> = seconds === 0 ? {} : { 'containerd.io/gc.expire': expiry }
  const { lease } = await session.client(LeasesDefinition).create({ id: flags.id ?? randomUUID(), labels })
  console.log(lease?.id ?? '')
}

export async function resources(session: Session, _flags: unknown, id: string): Promise<void> {
  const { resources } = await session.client(LeasesDefinition).listResources({ id })
  printRecords(resources, { TYPE: ({ type }) => type, ID: resource => resource.id }, session.json)
}

export async function remove(session: Session, flags: { sync?: boolean }, ids: string[]): Promise<void> {
  for (const id of ids) {
    await session.client(LeasesDefinition).delete({ id, sync: flags.sync ?? false })
    console.log(id)
  }
}
