import type { Writable } from 'node:stream'
import { notImplemented } from '#api/errors/errors.ts'
import type { PullParts } from './pull.ts'
import type { ExportOptions, TransferContext } from './transfer.ts'
export async function exportArchive(
  _p: PullParts,
  _a: Writable,
  _o: ExportOptions,
  _c: TransferContext,
): Promise<void> {
  throw notImplemented('export')
}
