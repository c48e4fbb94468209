/** `GET /images/{name}/json` and `/history`. */
import { type ApiVersion, atLeast } from '../http/api-version.ts'
import type { CatalogImage } from './catalog.ts'
import type { ImageJson } from './image-json.ts'
import { createdMs } from './image-json.ts'
import { shown } from './names.ts'
import type { ImageRoom } from './room.ts'

const zeroTime = '0001-01-01T00:00:00Z'

/** Members of a container's configuration that images had in answers until 1.49, whether they mean anything or not. */
const oldConfigMembers = {
  Hostname: '',
  Domainname: '',
  User: '',
  AttachStdin: false,
  AttachStdout: false,
  AttachStderr: false,
  Tty: false,
  OpenStdin: false,
  StdinOnce: false,
  Env: null,
  Cmd: null,
  Image: '',
  Volumes: null,
  WorkingDir: '',
  Entrypoint: null,
  OnBuild: null,
  Labels: null,
} as const

/** Those that are still always there. */
const configMembers = {
  User: '',
  Env: null,
  Cmd: null,
  Volumes: null,
  WorkingDir: '',
  Entrypoint: null,
  OnBuild: null,
  Labels: null,
} as const

export async function inspectImage(room: ImageRoom, image: CatalogImage, version: ApiVersion): Promise<object> {
  const { json, platform, target } = image
  const [size, snapshotter] = await Promise.all([room.sizes.total(image), room.sizes.snapshotterOf(image)])
  const noLater = (last: ApiVersion) => !atLeast(version, last)
  return {
    Id: image.id,
    RepoTags: image.tags.map(shown),
    RepoDigests: image.digests.map(shown),
    Parent: '',
    Comment: json.comment || (json.history?.at(-1)?.comment ?? ''),
    ...((json.created !== undefined || noLater('1.44')) && { Created: json.created ?? zeroTime }),
    ...(noLater('1.45') && { Container: json.container ?? '', ContainerConfig: oldContainerConfig(json) }),
    DockerVersion: json.docker_version ?? '',
    Author: json.author ?? '',
    Config: { ...(noLater('1.50') ? oldConfigMembers : configMembers), ...json.config },
    Architecture: platform.architecture,
    ...(platform.variant !== '' && { Variant: platform.variant }),
    Os: platform.os,
    ...(json['os.version'] && { OsVersion: json['os.version'] }),
    Size: size,
    ...(noLater('1.44') && { VirtualSize: size }),
    GraphDriver: { Data: null, Name: snapshotter ?? 'overlayfs' },
    RootFS: { Type: 'layers', ...(image.diffIds.length > 0 && { Layers: image.diffIds }) },
    Metadata: { LastTagTime: lastTagTime(image) },
    ...(atLeast(version, '1.48') && {
      Descriptor: { mediaType: target.mediaType, digest: target.digest, size: Number(target.size) },
    }),
  }
}

function oldContainerConfig({ container_config: config }: ImageJson): object {
  return { ...oldConfigMembers, ...config }
}

/** A record changes when its name is given to another image, and only then. */
function lastTagTime({ records }: CatalogImage): string {
  const times = records.map(({ updatedAt }) => Number(updatedAt?.seconds ?? 0n) * 1000 + (updatedAt?.nanos ?? 0) / 1e6)
  const last = Math.max(0, ...times)
  return last === 0 ? zeroTime : new Date(last).toISOString()
}

/** All manifests of the image, here or not: `?manifests=1` (API 1.48). */
export async function inspectManifests(room: ImageRoom, { target, id }: CatalogImage): Promise<object[]> {
  const manifests = await room.catalog.targets.manifests(target)
  const containers = (await room.engine.containers.list()).filter(({ imageId }) => imageId === id)
  return Promise.all(
    manifests.map(async ({ mediaType, digest, size, platform }) => {
      const own = { mediaType, digest, size: BigInt(size), annotations: {} }
      const content = await room.catalog.targets.read(own)
      const unpacked = content ? await room.sizes.total(content) : 0
      const blobs = content ? [content.config, ...content.layers].reduce((sum, blob) => sum + blob.size, size) : 0
      return {
        ID: digest,
        Descriptor: { mediaType, digest, size, ...(platform && { platform: plain(platform) }) },
        Available: content !== undefined,
        Size: { Content: blobs, Total: blobs + unpacked },
        Kind: 'image',
        ImageData: {
          Platform: plain(content?.platform ?? platform ?? { os: '', architecture: '', variant: '' }),
          Size: { Unpacked: unpacked },
          Containers: content?.id === id ? containers.map(container => container.id) : [],
        },
      }
    }),
  )
}

function plain({ os, architecture, variant }: { os: string; architecture: string; variant: string }): object {
  return { architecture, os, ...(variant !== '' && { variant }) }
}

/** The newest step first; images below are not known by id any more, since they came with this one. */
export async function imageHistory(room: ImageRoom, image: CatalogImage): Promise<object[]> {
  const sizes = await room.sizes.of(image)
  let layer = 0
  const steps = (image.json.history ?? []).map(({ created, created_by = '', comment = '', empty_layer = false }) => ({
    Comment: comment,
    Created: Math.floor((createdMs({ ...(created !== undefined && { created }) }) ?? 0) / 1000),
    CreatedBy: created_by,
    Id: '<missing>',
    Size: empty_layer ? 0 : (sizes[layer++] ?? 0),
    Tags: null as string[] | null,
  }))
  steps.reverse()
  const [top] = steps
  if (top) {
    top.Id = image.id
    top.Tags = image.tags.length === 0 ? null : image.tags.map(shown)
  }
  return steps
}
