/** What containers need of images. */

/** A local image, resolved from whatever a client wrote. */
export interface ResolvedImage {
  /** Name of the image record in the core: what ContainerConfig.image takes. */
  recordName: string
  /** Docker's image id: `sha256:` and the digest of the configuration. */
  id: string
  /** Digest of the manifest for the platform. */
  manifestDigest: string
  /** Of the OCI image index or manifest that the record points at. */
  targetDigest: string
  /** Of all its layers: the name of the snapshot that they unpack to. */
  chainId: string
  /** `linux/amd64`. */
  platform: string
  config: ImageRuntimeConfig
}

/** The part of the image's configuration (`config` member of OCI's image-spec config) that containers inherit. */
export interface ImageRuntimeConfig {
  User?: string
  ExposedPorts?: Record<string, object>
  Env?: string[]
  Entrypoint?: string[] | null
  Cmd?: string[] | null
  Volumes?: Record<string, object>
  WorkingDir?: string
  Labels?: Record<string, string>
  StopSignal?: string
  Healthcheck?: ImageHealthcheck
  Shell?: string[]
  OnBuild?: string[]
}

/** Durations are nanoseconds. */
export interface ImageHealthcheck {
  Test?: string[]
  Interval?: number
  Timeout?: number
  StartPeriod?: number
  StartInterval?: number
  Retries?: number
}

/** What `docker commit` adds: a new image on top of another. */
export interface CommitImage {
  parent: ResolvedImage
  /** A layer in the core's content store, and its uncompressed digest. */
  layer: { mediaType: string; digest: string; sizeBytes: bigint; diffId: string } | undefined
  config: ImageRuntimeConfig
  author: string
  comment: string
  /** As history tells it. */
  createdBy: string
  /** `name:tag`, normalised or not; undefined: no name. */
  reference: string | undefined
  /** Dockerfile instructions that change `config`, such as `CMD ["sh"]`. */
  changes?: readonly string[]
}

export interface EngineImages {
  /** By name, id, short id or digest. Throws Docker's 404 (`No such image: x:latest`) and 400. */
  resolve(reference: string, platform?: string): Promise<ResolvedImage>
  /** Docker's image id of the new image. The layer's content must be held by a lease of the caller until this answers. */
  commit(request: CommitImage, options?: { lease?: string }): Promise<string>
}
