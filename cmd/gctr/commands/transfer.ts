/** `images pull|push|import|export`: containerd's Transfer service, with progress. */
import type { Writable } from 'node:stream'
import { TransferDefinition } from '#api/gen/containerd/services/transfer/v1/transfer.ts'
import type { Platform } from '#api/gen/containerd/types/platform.ts'
import { ImageStore } from '#api/gen/containerd/types/transfer/imagestore.ts'
import { ImageExportStream, ImageImportStream } from '#api/gen/containerd/types/transfer/importexport.ts'
import type { Progress } from '#api/gen/containerd/types/transfer/progress.ts'
import { OCIRegistry } from '#api/gen/containerd/types/transfer/registry.ts'
import type { Any } from '#api/gen/google/protobuf/any.ts'
import { snapshotterLabel } from '#api/types/image-labels.ts'
import { formatPlatform, hostPlatform, parsePlatform } from '#api/types/platform.ts'
import { createArchive, openArchive } from '../archive-file.ts'
import { imageReference } from '../image-reference.ts'
import { printJsonLine } from '../output/json.ts'
import { showProgress } from '../progress/show.ts'
import type { Session } from '../session.ts'
import { answerCredentials } from '../streams/credentials.ts'
import { receiveData, sendData } from '../streams/data.ts'

export interface RegistryFlags {
  platform?: string
  user?: string
  plainHttp?: boolean
  hostsDir?: string
}

interface PullFlags extends RegistryFlags {
  allPlatforms?: boolean
  snapshotter?: string
  unpack: boolean
}

export async function pull(session: Session, flags: PullFlags, text: string): Promise<void> {
  const reference = imageReference(text)
  const platform = flags.platform === undefined ? hostPlatform() : parsePlatform(flags.platform)
  await using registry = await registrySource(session, reference, flags)
  const store = ImageStore.fromPartial({
    name: reference,
    labels: chosen(flags),
    platforms: flags.allPlatforms ? [] : [wire(platform)],
    unpacks: flags.unpack ? [{ platform: wire(platform), snapshotter: flags.snapshotter ?? '' }] : [],
  })
  await transfer(session, registry.any, any('ImageStore', ImageStore, store))
  report(session, { pulled: reference, platform: flags.allPlatforms ? 'all' : formatPlatform(platform) }, reference)
}

export async function push(session: Session, flags: RegistryFlags, text: string): Promise<void> {
  const reference = imageReference(text)
  await pushImage(session, flags, reference)
  report(session, { pushed: reference }, reference)
}

/** `reference` in full. */
export async function pushImage(session: Session, flags: RegistryFlags, reference: string): Promise<void> {
  await using registry = await registrySource(session, reference, flags)
  const platforms = flags.platform === undefined ? [] : [wire(parsePlatform(flags.platform))]
  const store = ImageStore.fromPartial({ name: reference, platforms })
  await transfer(session, any('ImageStore', ImageStore, store), registry.any)
}

interface ImportFlags {
  name?: string
  platform?: string
  snapshotter?: string
  unpack: boolean
}

export async function importArchive(session: Session, flags: ImportFlags, file: string): Promise<void> {
  const platform = wire(flags.platform === undefined ? hostPlatform() : parsePlatform(flags.platform))
  await using input = await sendData(session, await openArchive(file))
  const source = ImageImportStream.fromPartial({ stream: input.id })
  const store = ImageStore.fromPartial({
    name: flags.name === undefined ? '' : imageReference(flags.name),
    labels: chosen(flags),
    unpacks: flags.unpack ? [{ platform, snapshotter: flags.snapshotter ?? '' }] : [],
  })
  const names = new Set<string>()
  const seen = ({ event, name }: Progress) => void (event === 'saved' && names.add(name))
  await input.race(
    transfer(session, any('ImageImportStream', ImageImportStream, source), any('ImageStore', ImageStore, store), {
      seen,
    }),
  )
  report(session, { imported: [...names] }, [...names].join('\n'))
}

export interface ExportFlags {
  platform?: string
  allPlatforms?: boolean
}

export async function exportArchive(session: Session, flags: ExportFlags, file: string, text: string): Promise<void> {
  const reference = imageReference(text)
  await using archive = await createArchive(file)
  await exportImage(session, { ...flags, silent: file === '-' }, archive.stream, reference)
  await archive.keep()
  if (file !== '-') report(session, { exported: reference, file }, file)
}

/** `name` of a record; `into` has all of it when it resolves. */
export async function exportImage(
  session: Session,
  flags: ExportFlags & { silent: boolean },
  into: Writable,
  name: string,
): Promise<void> {
  await using output = await receiveData(session, into)
  const target = ImageExportStream.fromPartial({
    stream: output.id,
    platforms: flags.platform === undefined ? [] : [wire(parsePlatform(flags.platform))],
    allPlatforms: flags.allPlatforms ?? false,
  })
  const source = any('ImageStore', ImageStore, ImageStore.fromPartial({ name }))
  await transfer(session, source, any('ImageExportStream', ImageExportStream, target), flags)
  await output.done
}

/** An image that was unpacked in a snapshotter of the user's choice is run from there. */
function chosen({ snapshotter }: { snapshotter?: string }): Record<string, string> {
  return snapshotter === undefined ? {} : { [snapshotterLabel]: snapshotter }
}

async function transfer(
  session: Session,
  source: Any,
  destination: Any,
  { silent = false, seen }: { silent?: boolean; seen?: (progress: Progress) => void } = {},
): Promise<void> {
  await using progress = await showProgress(session, { silent: silent || session.json, seen })
  await session.client(TransferDefinition).transfer({ source, destination, options: { progressStream: progress.id } })
}

async function registrySource(session: Session, reference: string, flags: RegistryFlags) {
  const credentials = await answerCredentials(session, flags.user)
  const registry = OCIRegistry.fromPartial({
    reference,
    resolver: {
      authStream: credentials.id,
      hostDir: flags.hostsDir ?? '',
      defaultScheme: flags.plainHttp ? 'http' : '',
    },
  })
  return {
    any: any('OCIRegistry', OCIRegistry, registry),
    [Symbol.asyncDispose]: () => credentials[Symbol.asyncDispose](),
  }
}

function any<T>(name: string, codec: { encode(message: T): { finish(): Uint8Array } }, message: T): Any {
  return { typeUrl: `containerd.types.transfer.${name}`, value: Buffer.from(codec.encode(message).finish()) }
}

function wire(platform: { os: string; architecture: string; variant: string }): Platform {
  return { osVersion: '', osFeatures: [], ...platform }
}

function report(session: Session, fields: object, text: string): void {
  if (session.json) printJsonLine(fields)
  else console.log(text)
}
