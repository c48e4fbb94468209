/**
 * Attestations of an image, attached in both ways that tools look for them, by one manifest: in the index beside the image's, as buildx
 * does (annotations `vnd.docker.reference.*`), and with a `subject`, which makes it a referrer (OCI distribution spec 1.1).
 */
import { createHash } from 'node:crypto'
import { writeStream } from '#api/content/write-blob.ts'
import { mediaTypes } from '#api/types/oci.ts'
import { contentLabels, type JsonDescriptor, storeJson } from '../image/json-blob.ts'
import type { BuiltStage } from '../outputs/built-stage.ts'
import type { Build } from '../solve/build-request.ts'
import { provenance } from './provenance.ts'
import { sbom } from './sbom.ts'
import { type Predicate, statement } from './statement.ts'

const inToto = 'application/vnd.in-toto+json'
const artifactType = 'application/vnd.docker.attestation.manifest.v1+json'
/** Of a manifest that no machine is to run. */
const unknownPlatform = { architecture: 'unknown', os: 'unknown' }

/** An entry for the index; undefined where the build was asked for none. */
export async function attest(
  build: Build,
  built: BuiltStage,
  image: JsonDescriptor,
): Promise<JsonDescriptor | undefined> {
  const predicates = [await sbom(build, built, image.digest), provenance(build, built)].filter(one => one !== undefined)
  if (predicates.length === 0) return undefined
  const layers: JsonDescriptor[] = []
  for (const one of predicates) layers.push(await layer(build, built, image, one))
  const { mediaType, digest, size } = image
  const manifest = await attestationManifest(build, layers, { mediaType, digest, size })
  const annotations = {
    'vnd.docker.reference.digest': image.digest,
    'vnd.docker.reference.type': 'attestation-manifest',
  }
  return { ...manifest, annotations, platform: unknownPlatform }
}

async function layer(
  { core, lease, options }: Build,
  built: BuiltStage,
  image: JsonDescriptor,
  predicate: Predicate,
): Promise<JsonDescriptor> {
  const bytes = Buffer.from(JSON.stringify(statement(predicate, built, image.digest, options.names)))
  const ref = `build-${crypto.randomUUID()}`
  // Its digest is its diffID too: it is stored as it is.
  const labels = { 'containerd.io/uncompressed': `sha256:${createHash('sha256').update(bytes).digest('hex')}` }
  const { digest, sizeBytes } = await writeStream(core, [bytes], { ref, lease, labels })
  const annotations = { 'in-toto.io/predicate-type': predicate.type }
  return { mediaType: inToto, digest, size: sizeBytes, annotations }
}

/** The configuration lists the layers as an image's does: what reads an index expects it of each manifest. */
async function attestationManifest(
  { core, lease }: Build,
  layers: readonly JsonDescriptor[],
  subject: JsonDescriptor,
): Promise<JsonDescriptor> {
  const digests = layers.map(({ digest }) => digest)
  const empty = { ...unknownPlatform, config: {}, rootfs: { type: 'layers', diff_ids: digests } }
  const config = await storeJson(core, mediaTypes.ociConfig, empty, { lease, labels: {} })
  const mediaType = mediaTypes.ociManifest
  const document = { schemaVersion: 2, mediaType, artifactType, config, layers, subject }
  const labels = { 'containerd.io/gc.ref.content.config': config.digest, ...contentLabels('l', digests) }
  return storeJson(core, mediaType, document, { lease, labels })
}
