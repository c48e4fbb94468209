/** The messages of containerd.types.transfer as what our verbs take. */
import { invalidArgument, unavailable } from '#api/errors/errors.ts'
import type { Platform as WirePlatform } from '#api/gen/containerd/types/platform.ts'
import type { ImageStore } from '#api/gen/containerd/types/transfer/imagestore.ts'
import type { ImageExportStream } from '#api/gen/containerd/types/transfer/importexport.ts'
import { AuthRequest, AuthResponse, AuthType, type OCIRegistry } from '#api/gen/containerd/types/transfer/registry.ts'
import { normalizePlatform, type Platform } from '#api/types/platform.ts'
import type { Credentials } from '#core/remotes/remotes.ts'
import { type MessageStream, type Streams, typeName } from '#core/streaming/streaming.ts'
import type { ExportOptions, RegistryImage, StoredImage } from './transfer.ts'

/** NOT_FOUND for a stream that is not open; INVALID_ARGUMENT for a scheme we do not speak. */
export function registryImage({ reference, resolver }: OCIRegistry, streams: Streams, ns: string): RegistryImage {
  if (resolver === undefined) return { reference }
  const { authStream, headers, hostDir, defaultScheme } = resolver
  return {
    reference,
    headers,
    hostDir: hostDir || undefined,
    defaultScheme: schemeOf(defaultScheme),
    credentials: authStream === '' ? undefined : askOver(streams.get(ns, authStream), reference),
  }
}

function schemeOf(scheme: string): 'http' | 'https' | undefined {
  if (scheme === '') return undefined
  if (scheme !== 'http' && scheme !== 'https') throw invalidArgument(`default scheme "${scheme}" must be http or https`)
  return scheme
}

/** Asks the client, one question at a time: answers carry no number to tell them apart. */
function askOver(stream: MessageStream, reference: string) {
  let last: Promise<unknown> = Promise.resolve()
  return (host: string, challenges: readonly string[]): Promise<Credentials | undefined> => {
    const asked = last.then(() => ask(stream, { host, reference, wwwauthenticate: [...challenges] }))
    last = asked.catch(() => undefined)
    return asked
  }
}

async function ask(stream: MessageStream, request: AuthRequest): Promise<Credentials | undefined> {
  const value = Buffer.from(AuthRequest.encode(request).finish())
  await stream.send({ typeUrl: 'containerd.types.transfer.AuthRequest', value })
  const answer = await stream.receive()
  if (answer === undefined)
    throw unavailable(`the client closed its stream when asked for credentials of ${request.host}`)
  if (typeName(answer) !== 'containerd.types.transfer.AuthResponse')
    throw invalidArgument(`"${answer.typeUrl}" is no answer to a request for credentials`)
  const { authType, username, secret } = AuthResponse.decode(answer.value)
  // containerd's clients answer REFRESH with nothing in it when they have no credentials.
  if (secret === '') return undefined
  if (authType === AuthType.CREDENTIALS) return { kind: 'password', username, password: secret }
  if (authType === AuthType.REFRESH) return { kind: 'refresh', token: secret }
  return authType === AuthType.HEADER ? { kind: 'header', value: secret } : undefined
}

export function storedImage(wire: ImageStore): StoredImage {
  const { name, labels, allMetadata, manifestLimit, extraReferences } = wire
  const unpacks = wire.unpacks.map(({ snapshotter, platform }) => ({
    snapshotter,
    platform: platform && platform.architecture !== '' ? platformOf(platform) : undefined,
  }))
  return {
    name,
    labels,
    platforms: wire.platforms.map(platformOf),
    allMetadata,
    manifestLimit,
    extraReferences,
    unpacks,
  }
}

/** The images of the source, under their names; without platforms the host's. */
export function exportOptions({ name, extraReferences }: StoredImage, wire: ImageExportStream): ExportOptions {
  const prefixed = extraReferences.find(reference => reference.isPrefix)
  if (prefixed) throw invalidArgument(`export by name prefix ("${prefixed.name}") is not supported: name the images`)
  const names = [...(name === '' ? [] : [name]), ...extraReferences.map(reference => reference.name)]
  if (names.length === 0) throw invalidArgument('an export needs the name of an image')
  return {
    names,
    platforms: wire.platforms.map(platformOf),
    allPlatforms: wire.allPlatforms,
    skipDockerManifest: wire.skipCompatibilityManifest,
    skipNonDistributable: wire.skipNonDistributable,
  }
}

function platformOf({ os, architecture, variant }: WirePlatform): Platform {
  return normalizePlatform({ os: os || 'linux', architecture, variant })
}
