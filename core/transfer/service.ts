/** containerd.services.transfer.v1: the two ends of a transfer, as types of the wire, become a verb of {@link Transfers}. */
import { pipeline } from 'node:stream/promises'
import { invalidArgument, notImplemented } from '#api/errors/errors.ts'
import type { TransferDefinition } from '#api/gen/containerd/services/transfer/v1/transfer.ts'
import { ImageStore } from '#api/gen/containerd/types/transfer/imagestore.ts'
import { ImageExportStream, ImageImportStream } from '#api/gen/containerd/types/transfer/importexport.ts'
import { OCIRegistry } from '#api/gen/containerd/types/transfer/registry.ts'
import type { Any } from '#api/gen/google/protobuf/any.ts'
import type { CallContext, ServiceImpl } from '#api/rpc/server.ts'
import {
  byteReader,
  byteWriter,
  type MessageStream,
  openByteSink,
  openByteSource,
  type Streams,
  typeName,
} from '#core/streaming/streaming.ts'
import type { TransferContext, Transfers } from './transfer.ts'
import { openProgress } from './wire-progress.ts'
import { exportOptions, registryImage, storedImage } from './wire-types.ts'

type Ends = { source: Any; destination: Any }
type Verb = (ends: Ends, context: TransferContext) => Promise<unknown>

const prefix = 'containerd.types.transfer.'

export function transferService(transfers: Transfers, streams: Streams): ServiceImpl<typeof TransferDefinition> {
  const verbs = verbsOver(transfers, streams)
  return {
    async transfer({ source, destination, options }, call) {
      if (source === undefined || destination === undefined)
        throw invalidArgument('a transfer needs a source and a destination')
      const pair = `${shortName(source)} to ${shortName(destination)}`
      const verb = verbs[pair]
      if (verb === undefined) throw notImplemented(`transfer from ${pair}`)
      await using progress = openProgress(streams, call.namespace, options?.progressStream ?? '')
      await verb({ source, destination }, contextOf(call, progress.sink))
      return {}
    },
  }
}

function verbsOver(transfers: Transfers, streams: Streams): Record<string, Verb | undefined> {
  const registry = ({ value }: Any, { namespace }: TransferContext) =>
    registryImage(OCIRegistry.decode(value), streams, namespace)
  const store = ({ value }: Any) => storedImage(ImageStore.decode(value))
  return {
    'OCIRegistry to ImageStore': ({ source, destination }, context) =>
      transfers.pull(registry(source, context), store(destination), context),
    'ImageStore to OCIRegistry': ({ source, destination }, context) =>
      transfers.push(store(source), registry(destination, context), context),
    'ImageStore to ImageStore': ({ source, destination }, context) =>
      transfers.tag(store(source).name, store(destination), context),
    'ImageImportStream to ImageStore': async ({ source, destination }, context) => {
      const { stream, forceCompress } = ImageImportStream.decode(source.value)
      await using archive = await openByteSource(streams, context.namespace, stream)
      return await transfers.importArchive(archive.bytes, store(destination), { ...context, forceCompress })
    },
    'ImageStore to ImageExportStream': async ({ source, destination }, context) => {
      const wire = ImageExportStream.decode(destination.value)
      await using archive = await openByteSink(streams, context.namespace, wire.stream)
      return await transfers.exportArchive(archive.bytes, exportOptions(store(source), wire), context)
    },
    'ImageImportStream to ImageExportStream': async ({ source, destination }, { namespace, signal }) => {
      const from = streams.get(namespace, ImageImportStream.decode(source.value).stream)
      const to = streams.get(namespace, ImageExportStream.decode(destination.value).stream)
      await echo(from, to, signal)
    },
  }
}

/** An archive's bytes from one stream to another, unread: containerd's check that streams work. */
async function echo(from: MessageStream, to: MessageStream, signal: AbortSignal): Promise<void> {
  try {
    await pipeline(byteReader(from), byteWriter(to), { signal })
  } finally {
    await Promise.all([from.close(), to.close()])
  }
}

function shortName(any: Any): string {
  const name = typeName(any)
  return name.startsWith(prefix) ? name.slice(prefix.length) : name
}

function contextOf(
  { namespace, lease, signal }: CallContext,
  onProgress: TransferContext['onProgress'],
): TransferContext {
  return { namespace, lease, signal, onProgress }
}
