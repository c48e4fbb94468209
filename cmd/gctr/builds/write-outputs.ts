/** The outputs of a build that is done: pushed, or written to files and folders. */
import { join } from 'node:path'
import { PassThrough, type Writable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { ContentDefinition } from '#api/gen/containerd/services/content/v1/content.ts'
import { ImagesDefinition } from '#api/gen/containerd/services/images/v1/images.ts'
import type { Result } from '#api/gen/gantry/services/builder/v1/builder.ts'
import { createArchive } from '../archive-file.ts'
import { exportImage, pushImage, type RegistryFlags } from '../commands/transfer.ts'
import type { Session } from '../session.ts'
import type { OutputSpec } from './output-spec.ts'
import { isImage, type Outputs } from './outputs.ts'
import { unpackArchive } from './unpack-archive.ts'

export type TransferFlags = Pick<RegistryFlags, 'user' | 'plainHttp' | 'hostsDir'> & { silent: boolean }

/** An archive of an image that was given no name leaves no record behind. */
export async function writeOutputs(
  session: Session,
  { specs, names }: Outputs,
  result: Result,
  flags: TransferFlags,
): Promise<void> {
  for (const spec of specs) {
    if (spec.push) for (const name of names) await pushImage(session, flags, name)
    if (spec.type === 'oci' || spec.type === 'docker') await writeImage(session, spec, result, flags)
    if (!isImage(spec)) await writeRoots(session, spec, result)
  }
  const isKept = names.length > 0 || specs.some(({ type }) => type === 'image')
  if (!isKept && result.name !== '') await session.client(ImagesDefinition).delete({ name: result.name, sync: false })
}

/** The layout as `docker load` and every OCI tool read it; the same image makes the same bytes. */
async function writeImage(session: Session, spec: OutputSpec, { name }: Result, { silent }: TransferFlags) {
  const write = (into: Writable) => exportImage(session, { allPlatforms: true, silent }, into, name)
  if (!spec.isUnpacked) return await toFile(spec.dest, write)
  const archive = new PassThrough()
  await Promise.all([write(archive), unpackArchive(archive, spec.dest)])
}

async function writeRoots(session: Session, spec: OutputSpec, { rootArchives }: Result): Promise<void> {
  for (const { platform, digest } of rootArchives) {
    // One platform's root is the folder itself; several get one each, as buildx names them.
    const folder = rootArchives.length === 1 ? spec.dest : join(spec.dest, platform.replaceAll('/', '_'))
    const archive = pieces(session, digest)
    if (spec.type === 'local') await unpackArchive(archive, folder)
    else await toFile(spec.dest, into => pipeline(archive, into, { end: into !== process.stdout }))
  }
}

async function* pieces(session: Session, digest: string): AsyncGenerator<Buffer> {
  for await (const { data } of session.client(ContentDefinition).read({ digest })) yield data
}

async function toFile(path: string, write: (into: Writable) => Promise<void>): Promise<void> {
  await using archive = await createArchive(path)
  await write(archive.stream)
  await archive.keep()
}
