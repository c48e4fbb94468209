/** `namespaces ls|create|label|rm`. */
import { NamespacesDefinition } from '#api/gen/containerd/services/namespaces/v1/namespaces.ts'
import { formatLabels, parsePairs } from '../output/labels.ts'
import { printRecords } from '../output/table.ts'
import type { Session } from '../session.ts'

export async function list(session: Session): Promise<void> {
  const { namespaces } = await session.client(NamespacesDefinition).list({})
  printRecords(namespaces, { NAME: ({ name }) => name, LABELS: ({ labels }) => formatLabels(labels) }, session.json)
}

export async function create(session: Session, flags: { label: string[] }, name: string): Promise<void> {
  await session.client(NamespacesDefinition).create({ namespace: { name, labels: parsePairs(flags.label, '--label') } })
  console.log(name)
}

export async function label(session: Session, _flags: unknown, name: string, words: string[]): Promise<void> {
  const labels = parsePairs(words, 'label')
  const updateMask = Object.keys(labels).map(key => `labels.${key}`)
  await session.client(NamespacesDefinition).update({ namespace: { name, labels }, updateMask })
}

export async function remove(session: Session, _flags: unknown, names: string[]): Promise<void> {
  for (const name of names) {
    await session.client(NamespacesDefinition).delete({ name })
    console.log(name)
  }
}
