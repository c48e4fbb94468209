/** `images ls|tag|rm`. */

import { alreadyExists, isGantryError } from '#api/errors/errors.ts'
import { type Image, ImagesDefinition } from '#api/gen/containerd/services/images/v1/images.ts'
import { imageReference } from '../image-reference.ts'
import { measureImage } from '../image-size.ts'
import { formatLabels } from '../output/labels.ts'
import { printLines, printRecords } from '../output/table.ts'
import { formatAge, formatBytes, shortDigest } from '../output/units.ts'
import type { Session } from '../session.ts'

export async function list(session: Session, flags: { quiet?: boolean }, filters: string[]): Promise<void> {
  const { images } = await session.client(ImagesDefinition).list({ filters })
  if (flags.quiet) return printLines(images.map(({ name }) => name))
  const rows = await Promise.all(images.map(async image => ({ image, ...(await measureImage(session, image)) })))
  const json = rows.map(({ image, ...measured }) => ({ ...image, ...measured }))
  if (session.json) return printRecords(json, {}, true)
  printRecords(
    rows,
    {
      NAME: row => row.image.name,
      DIGEST: row => shortDigest(row.image.target?.digest ?? ''),
      SIZE: row => formatBytes(row.sizeBytes),
      PLATFORMS: row => row.platforms.join(','),
      CREATED: row => formatAge(row.image.createdAt),
      LABELS: row => formatLabels(row.image.labels),
    },
    false,
  )
}

export async function tag(session: Session, flags: { force?: boolean }, source: string, target: string): Promise<void> {
  const images = session.client(ImagesDefinition)
  const { image } = await images.get({ name: imageReference(source) })
  const name = imageReference(target)
  try {
    await images.create({ image: { ...(image as Image), name } })
  } catch (error) {
    if (!isGantryError(error, 'ALREADY_EXISTS')) throw error
    if (!flags.force) throw alreadyExists(`image "${name}" (use --force to replace it)`, { cause: error })
    await images.update({ image: { ...(image as Image), name }, updateMask: ['target', 'labels'] })
  }
  console.log(name)
}

export async function remove(session: Session, flags: { sync?: boolean }, names: string[]): Promise<void> {
  for (const text of names) {
    const name = imageReference(text)
    await session.client(ImagesDefinition).delete({ name, sync: flags.sync ?? false })
    console.log(name)
  }
}
