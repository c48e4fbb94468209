/** `POST /images/{name}/tag`. */
import { badRequest } from '../http/http-error.ts'
import { tellImage } from './image-events.ts'
import { parseNameAndTag, recordName, shown, shownRepository } from './names.ts'
import { putRecord } from './records.ts'
import type { ImageRoom } from './room.ts'

/** Docker's 404 for the image, 400 for the name. */
export async function tagImage(
  { catalog, engine }: ImageRoom,
  name: string,
  repository: string,
  tag: string,
): Promise<void> {
  if (repository === '') throw badRequest('repository name must have at least one component')
  const reference = parseNameAndTag(repository, tag)
  if (reference.digest !== undefined) throw badRequest('refusing to create a tag with a digest reference')
  if (shownRepository(reference) === 'sha256')
    throw badRequest('refusing to create an ambiguous tag using digest algorithm as name')
  const image = await catalog.resolve(name)
  const target = image.records.find(record => record.name === name)?.target ?? image.target
  await putRecord(engine.core, recordName(reference), target)
  tellImage(engine.events, 'tag', { id: image.id, name: shown(reference), image })
}
