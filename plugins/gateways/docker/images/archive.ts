/** `docker save` and `docker load`: images as a tar, in Docker's form and OCI's at once. */
import { PassThrough, type Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { messageOf } from '#api/errors/errors.ts'
import { ImageStore } from '#api/gen/containerd/types/transfer/imagestore.ts'
import { ImageExportStream, ImageImportStream } from '#api/gen/containerd/types/transfer/importexport.ts'
import { offerSocket, pour } from '#api/streaming/byte-socket.ts'
import { anyOf } from '#api/streaming/named-stream.ts'
import { hostPlatform, type Platform } from '#api/types/platform.ts'
import { transfer } from '../core-client/transfers.ts'
import { badRequest, serverError } from '../http/http-error.ts'
import { type CatalogImage, noSuchImage } from './catalog.ts'
import { tellImage } from './image-events.ts'
import { danglingName, parseName, readRecordName, recordName, shortId, shown } from './names.ts'
import { movingMessage, type ProgressMessage } from './progress-messages.ts'
import { keepingDisplaced, putRecord, removeRecord } from './records.ts'
import type { ImageRoom } from './room.ts'

const transferType = (name: string) => `containerd.types.transfer.${name}`

/** The archive as it is made. Docker's 404 before the first byte; what breaks later breaks the stream. */
export async function saveImages(
  room: ImageRoom,
  names: readonly string[],
  platform: Platform | undefined,
  signal: AbortSignal,
): Promise<Readable> {
  if (names.length === 0) throw badRequest('no images to save: name at least one')
  const chosen = await Promise.all(names.map(name => recordsToSave(room, name, platform)))
  const archive = new PassThrough()
  writeArchive(room, chosen.flat(), platform, archive, signal).then(
    () => archive.end(),
    error => archive.destroy(error),
  )
  return archive
}

interface SavedRecord {
  record: string
  image: CatalogImage
  /** Made for this archive alone. */
  isTemporary: boolean
}

/** A repository stands for all its tags, an id for an image without a name. */
async function recordsToSave(
  { catalog, engine: { core } }: ImageRoom,
  text: string,
  platform: Platform | undefined,
): Promise<SavedRecord[]> {
  const image = await catalog.find(text)
  if (image !== undefined) await catalog.resolve(text, platform)
  if (image?.id.replace('sha256:', '').startsWith(text.replace('sha256:', ''))) {
    const record = danglingName(image.target.digest)
    const isTemporary = !image.records.some(({ name }) => name === record)
    if (isTemporary) await putRecord(core, record, image.target)
    return [{ record, image, isTemporary }]
  }
  const reference = parseName(text)
  const isBare = !/[:@][^/]*$/.test(text)
  const all = await catalog.all()
  const records = all.flatMap(other =>
    other.tags
      .filter(tag =>
        isBare
          ? tag.domain === reference.domain && tag.repository === reference.repository
          : recordName(tag) === recordName(reference),
      )
      .map(tag => ({ record: recordName(tag), image: other, isTemporary: false })),
  )
  if (records.length > 0) return records
  if (image === undefined) throw noSuchImage(text)
  return [{ record: image.records[0]?.name ?? '', image, isTemporary: false }]
}

async function writeArchive(
  { engine: { core, events, settings } }: ImageRoom,
  records: readonly SavedRecord[],
  platform: Platform | undefined,
  archive: PassThrough,
  signal: AbortSignal,
): Promise<void> {
  const [first, ...rest] = new Set(records.map(({ record }) => record))
  const references = rest.map(name => ({ name }))
  const store = ImageStore.fromPartial({ name: first ?? '', extraReferences: references })
  await using socket = await offerSocket(settings.state, 'save')
  const wanted = { osVersion: '', osFeatures: [], ...(platform ?? records[0]?.image.platform ?? hostPlatform()) }
  const target = ImageExportStream.fromPartial({ stream: socket.id, platforms: [wanted] })
  const ends = {
    source: anyOf(transferType('ImageStore'), ImageStore, store),
    destination: anyOf(transferType('ImageExportStream'), ImageExportStream, target),
  }
  try {
    // That the bytes end is no proof that they are complete: the archive ends when both have.
    const receiving = socket.connected.then(bytes => pipeline(bytes, archive, { end: false }))
    await Promise.all([receiving, drain(transfer(core, ends, { signal }))])
    for (const { image } of records) tellImage(events, 'save', { id: image.id, name: image.id, image })
  } finally {
    for (const { record, isTemporary } of records) if (isTemporary) await removeRecord(core, record)
  }
}

async function drain(progress: AsyncIterable<unknown>): Promise<void> {
  for await (const _ of progress);
}

/** Failures are messages: `docker load` has its 200 by then. */
export async function* loadImages(
  room: ImageRoom,
  body: Readable,
  options: { platform: Platform | undefined; isQuiet: boolean; signal: AbortSignal },
): AsyncGenerator<ProgressMessage> {
  const { core, settings } = room.engine
  await using socket = await offerSocket(settings.state, 'load')
  const source = ImageImportStream.fromPartial({ stream: socket.id })
  const wanted = { osVersion: '', osFeatures: [], ...(options.platform ?? hostPlatform()) }
  const store = ImageStore.fromPartial({
    platforms: options.platform ? [wanted] : [],
    unpacks: [{ platform: wanted, snapshotter: '' }],
    // Images that the archive gives no name are kept by their digest.
    extraReferences: [
      {
        name: danglingName('').slice(0, -1),
        isPrefix: true,
        allowOverwrite: true,
        addDigest: true,
        skipNamedDigest: true,
      },
    ],
  })
  const ends = {
    source: anyOf(transferType('ImageImportStream'), ImageImportStream, source),
    destination: anyOf(transferType('ImageStore'), ImageStore, store),
  }
  const names: string[] = []
  const messages: ProgressMessage[] = []
  await keepingDisplaced(core, 'any', async () => {
    // A body that breaks off is an archive that ends too early: the core says so.
    void socket.connected.then(bytes => pour(body, bytes))
    try {
      for await (const { event, name, desc, progress, total } of transfer(core, ends, { signal: options.signal })) {
        if (event === 'saved') names.push(name)
        if (event === 'extracting' && desc && !options.isQuiet)
          messages.push(movingMessage(shortId(desc.digest), 'Loading layer', Number(progress), Number(total)))
      }
    } catch (error) {
      throw loadError(error)
    }
  })
  yield* messages
  for (const name of new Set(names)) yield await loaded(room, name)
}

async function loaded({ catalog, engine: { events } }: ImageRoom, name: string): Promise<ProgressMessage> {
  const reference = readRecordName(name)
  const all = await catalog.all()
  const image = all.find(({ records }) => records.some(record => record.name === name))
  if (image) tellImage(events, 'load', { id: image.id, name: image.id, image })
  if (reference === undefined) return { stream: `Loaded image ID: ${image?.id ?? name}\n` }
  return { stream: `Loaded image: ${shown(reference)}\n` }
}

function loadError(error: unknown): unknown {
  return serverError(messageOf(error), { cause: error })
}
