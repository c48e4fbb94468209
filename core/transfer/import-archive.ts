import type { Readable } from 'node:stream'
import { notImplemented } from '#api/errors/errors.ts'
import type { Image } from '#core/images/images.ts'
import type { PullParts } from './pull.ts'
import type { StoredImage, TransferContext } from './transfer.ts'
export async function importArchive(
  _p: PullParts,
  _a: Readable,
  _to: StoredImage,
  _c: TransferContext & { forceCompress?: boolean },
): Promise<Image[]> {
  throw notImplemented('import')
}
