/** What packages are in an image: SPDX 2.3 as JSON (spdx.github.io/spdx-spec/v2.3). */
import { createHash } from 'node:crypto'
import { formatReference, parseReference } from '#api/types/reference.ts'
import type { BuiltStage } from '../outputs/built-stage.ts'
import type { Build } from '../solve/build-request.ts'
import { imagePurl } from './image-purl.ts'
import { type FoundIn, findPackages, type Inventory } from './packages/find-packages.ts'
import { redacted } from './redact.ts'
import type { Predicate } from './statement.ts'

const unknown = 'NOASSERTION'
const imageID = 'SPDXRef-Image'
const documentID = 'SPDXRef-DOCUMENT'

/** Undefined where none is wanted. */
export async function sbom(build: Build, built: BuiltStage, manifestDigest: string): Promise<Predicate | undefined> {
  if (!build.options.sbom) return undefined
  const inventory = await build.layers.withView(built.state.root, findPackages)
  const document = spdxDocument(build, built, inventory, manifestDigest)
  return { type: 'https://spdx.dev/Document', predicate: redacted(document, build.options) }
}

function spdxDocument({ epoch, options }: Build, { platform }: BuiltStage, inventory: Inventory, digest: string) {
  const { distribution, packages, unread } = inventory
  const name = options.names[0] ?? digest
  const purl = options.names.slice(0, 1).map(text => imagePurl(formatReference(parseReference(text)), platform))
  const created = (epoch ?? new Date()).toISOString().replace(/\.\d+Z$/, 'Z')
  const entries = packages.map(spdxPackage)
  return {
    spdxVersion: 'SPDX-2.3',
    dataLicense: 'CC0-1.0',
    SPDXID: documentID,
    name,
    documentNamespace: `urn:gantry:sbom:${digest}`,
    creationInfo: { created, creators: ['Tool: gantry-builder-dockerfile'] },
    // What is missing must not look as if it were not there.
    ...(unread.length > 0 && { comment: `Not read: ${unread.join('; ')}` }),
    packages: [
      {
        SPDXID: imageID,
        name,
        versionInfo: digest,
        primaryPackagePurpose: 'CONTAINER',
        ...fixed,
        ...(distribution.title !== '' && { comment: distribution.title }),
        checksums: [{ algorithm: 'SHA256', checksumValue: digest.replace('sha256:', '') }],
        externalRefs: purl.map(packageReference),
      },
      ...entries,
    ],
    relationships: [
      { spdxElementId: documentID, relatedSpdxElement: imageID, relationshipType: 'DESCRIBES' },
      ...entries.map(({ SPDXID }) => ({
        spdxElementId: imageID,
        relatedSpdxElement: SPDXID,
        relationshipType: 'CONTAINS',
      })),
    ],
  }
}

const fixed = { downloadLocation: unknown, filesAnalyzed: false, licenseConcluded: unknown, copyrightText: unknown }

function spdxPackage({ name, version, purl, license, catalog, path }: FoundIn, at: number) {
  const hash = createHash('sha256').update(`${purl} ${path} ${at}`).digest('hex').slice(0, 16)
  return {
    SPDXID: `SPDXRef-Package-${name.replaceAll(/[^A-Za-z0-9.-]+/g, '-')}-${hash}`,
    name,
    versionInfo: version,
    ...fixed,
    licenseDeclared: isExpression(license) ? license : unknown,
    sourceInfo: `${catalog}: ${path}`,
    externalRefs: [packageReference(purl)],
  }
}

function packageReference(purl: string) {
  return { referenceCategory: 'PACKAGE-MANAGER', referenceType: 'purl', referenceLocator: purl }
}

/** A license expression by its form (annex D); metadata often holds prose, which SPDX has no place for. */
function isExpression(license: string): boolean {
  return /^\(*[A-Za-z0-9.+-]+\)*( (AND|OR|WITH) \(*[A-Za-z0-9.+-]+\)*)*$/.test(license)
}
