/** From the ends of stages to what was asked for: an image for one platform or an index of several, its names, archives of roots. */
import { failedPrecondition } from '#api/errors/errors.ts'
import type { Result } from '#api/gen/gantry/services/builder/v1/builder.ts'
import { mediaTypes } from '#api/types/oci.ts'
import type { Platform } from '#api/types/platform.ts'
import { attest } from '../attestations/attest.ts'
import { type ExportedImage, exportImage } from '../image/export-image.ts'
import { annotated, contentLabels, type JsonDescriptor, storeJson } from '../image/json-blob.ts'
import { nameImage } from '../image/name-image.ts'
import { settingsOf } from '../solve/arguments.ts'
import type { Build } from '../solve/build-request.ts'
import type { StageState } from '../solve/stage-state.ts'
import { type Annotations, annotationsOf } from './annotations.ts'
import type { BuiltStage } from './built-stage.ts'
import { storeRootArchive } from './root-archive.ts'

/** The result tells of the first image where there are several. */
export async function finishBuild(build: Build, built: readonly BuiltStage[]): Promise<Omit<Result, 'buildId'>> {
  const rootArchives = await archives(build, built)
  const nothing = { imageId: '', manifestDigest: '', indexDigest: '', name: '', sizeBytes: 0n }
  return { ...nothing, rootArchives, ...(!build.options.noImage && (await image(build, built))) }
}

async function archives(build: Build, built: readonly BuiltStage[]) {
  const { rootArchiveLease } = build.options
  if (rootArchiveLease === '') return []
  return await Promise.all(built.map(one => storeRootArchive(build, one, rootArchiveLease)))
}

async function image(build: Build, built: readonly BuiltStage[]) {
  const { core, snapshotter, lease, options, epoch } = build
  const annotations = annotationsOf(options)
  const format = { docker: options.dockerMediaTypes, annotations: annotations.manifest }
  const shared = { snapshotter, lease, ...format }
  const images: ExportedImage[] = []
  for (const { state } of built)
    images.push(await exportImage(core, state, { ...shared, created: epoch ?? lastChange(state) }))
  const [first] = images
  if (first === undefined) throw failedPrecondition('nothing was built')
  const attestations = await attestAll(build, built, images)
  const index = await indexAround(build, built, { images, attestations, annotations })
  const { imageID, manifest, sizeBytes } = first
  const name = await nameImage(core, options.names, index ?? manifest)
  const indexDigest = index?.digest ?? ''
  return { imageId: imageID, manifestDigest: manifest.digest, indexDigest, name, sizeBytes: BigInt(sizeBytes) }
}

/** What history says last; an image without a history is of now. */
function lastChange({ history }: StageState): Date {
  const told = history.findLast(({ created }) => created !== undefined)?.created
  return told === undefined ? new Date() : new Date(told)
}

/** One for each image, of those that have any. */
async function attestAll(build: Build, built: readonly BuiltStage[], images: readonly ExportedImage[]) {
  const found: JsonDescriptor[] = []
  for (const [at, { manifest }] of images.entries()) {
    const stage = built[at]
    const attestation = stage && (await attest(build, stage, manifest))
    if (attestation !== undefined) found.push(attestation)
  }
  return found
}

interface IndexParts {
  readonly images: readonly ExportedImage[]
  readonly attestations: readonly JsonDescriptor[]
  readonly annotations: Annotations
}

/** Undefined where one manifest says it all. */
async function indexAround(
  { core, lease, options }: Build,
  built: readonly BuiltStage[],
  { images, attestations, annotations }: IndexParts,
): Promise<JsonDescriptor | undefined> {
  const ofIndex = [annotations.index, annotations['manifest-descriptor']]
  const isAsked = settingsOf(options.args).wantsIndex
  if (!isAsked && images.length + attestations.length === 1 && ofIndex.every(each => Object.keys(each).length === 0))
    return undefined
  const ofImages = images.map(({ manifest }, at) => ({
    ...manifest,
    platform: platformMember(built[at]?.platform),
    ...annotated(annotations['manifest-descriptor']),
  }))
  const manifests: JsonDescriptor[] = [...ofImages, ...attestations]
  const mediaType = options.dockerMediaTypes ? mediaTypes.dockerList : mediaTypes.ociIndex
  const document = { schemaVersion: 2, mediaType, manifests, ...annotated(annotations.index) }
  const labels = contentLabels(
    'm',
    manifests.map(({ digest }) => digest),
  )
  return storeJson(core, mediaType, document, { lease, labels })
}

function platformMember({ os = '', architecture = '', variant = '' }: Partial<Platform> = {}) {
  return { os, architecture, ...(variant !== '' && { variant }) }
}
