/** Provenance and SBOM of a build: where they are found, what they say, and what they must not. */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { Daemon } from '../daemon/daemon.ts'
import { startRegistry } from '../registry/registry.ts'

const skip = process.getuid?.() === 0 ? false : 'containers need root'
const base = 'test.example/busybox:1'
const secret = 'hunter2-is-no-password'
let daemon: Daemon
let folder: string

const files: Readonly<Record<string, string>> = {
  'etc/os-release': 'ID=debian\nVERSION_ID="12"\nPRETTY_NAME="Debian 12"\n',
  'var/lib/dpkg/status':
    'Package: bash\nStatus: install ok installed\nArchitecture: amd64\nVersion: 5.2-2+b7\nDescription: shell\n more\n\nPackage: gone\nStatus: deinstall ok config-files\nVersion: 1\n',
  'var/lib/dpkg/status.d/base': 'Package: base-files\nVersion: 12.4\n',
  'lib/apk/db/installed': 'P:musl\nV:1.2.4-r2\nA:x86_64\nL:MIT\n\nP:zlib\nV:1.3\nL:Zlib AND some prose, too\n',
  'app/node_modules/@scope/tool/package.json': '{"name":"@scope/tool","version":"2.0.0","license":"ISC"}',
  'app/node_modules/broken/package.json': '{',
  'lib/python3/Foo_Bar-1.0.dist-info/METADATA': 'Metadata-Version: 2.1\nName: Foo_Bar\nVersion: 1.0\n\nVersion: none\n',
  'var/lib/rpm/Packages': 'Berkeley',
}

before(async () => {
  if (skip) return
  daemon = await Daemon.start()
  await daemon.importBusybox(base)
  folder = join(daemon.folder, 'context')
  for (const [path, content] of Object.entries(files)) {
    await mkdir(join(folder, 'root', path, '..'), { recursive: true })
    await writeFile(join(folder, 'root', path), content)
  }
  // A link out of the root is not followed: else this machine's own packages were told.
  const lines = [
    `FROM ${base}`,
    'ARG API_TOKEN VISIBLE',
    'COPY root /',
    'RUN --mount=type=secret,id=key ln -s /proc/1/root/var/lib/dpkg /var/lib/dpkg2; echo "$VISIBLE"',
  ]
  await writeFile(join(folder, 'Dockerfile'), `${lines.join('\n')}\n`)
  await writeFile(join(daemon.folder, 'key'), `${secret}\n`)
})
after(async () => {
  await daemon?.[Symbol.asyncDispose]()
})

const asked = () => [
  ...['--provenance', 'mode=max', '--sbom', '--secret', `id=key,src=${join(daemon.folder, 'key')}`],
  ...['--build-arg', `API_TOKEN=${secret}-too`, '--build-arg', `VISIBLE=seen`, '--label', `leak=${secret}`],
]

async function build(...flags: string[]): Promise<string> {
  const { code, stdout, stderr } = await daemon.run('build', '--network', 'none', ...flags, folder)
  assert.equal(code, 0, stderr)
  return stdout.trim()
}

interface Descriptor {
  mediaType: string
  digest: string
  annotations: Record<string, string>
  platform: { os: string }
}

test('in the index beside the image, and as what refers to it; pushed, run and exported as any image', {
  skip,
}, async () => {
  await using registry = await startRegistry()
  const name = `${registry.host}/attested:1`
  await build(...asked(), '--push', '--tag', name)
  const get = async (path: string) =>
    (await (await fetch(`http://${registry.host}/v2/attested/${path}`, accepting)).json()) as never
  const index = (await get('manifests/1')) as { manifests: [Descriptor, Descriptor] }
  const [image, attestation] = index.manifests
  assert.equal(attestation.annotations['vnd.docker.reference.digest'], image.digest)
  assert.equal(attestation.annotations['vnd.docker.reference.type'], 'attestation-manifest')
  assert.equal(attestation.platform.os, 'unknown')
  const manifest = (await get(`manifests/${attestation.digest}`)) as { subject: Descriptor; layers: Descriptor[] }
  assert.equal(manifest.subject.digest, image.digest)
  const statements = await Promise.all(manifest.layers.map(({ digest }) => get(`blobs/${digest}`)))
  for (const { _type, subject } of statements as { _type: string; subject: { digest: { sha256: string } }[] }[]) {
    assert.equal(_type, 'https://in-toto.io/Statement/v1')
    assert.equal(`sha256:${subject[0]?.digest.sha256}`, image.digest)
  }
  const { code, stdout, stderr } = await daemon.run('run', '--rm', '--net', 'none', name, 'echo', 'runs')
  assert.equal(code, 0, stderr)
  assert.equal(stdout, 'runs\n')
})

const accepting = {
  headers: { accept: '*/*, application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json' },
}

/** Predicates by type, from a layout on disk, and all bytes of it. */
async function attested(name: string, ...flags: string[]) {
  const layout = join(daemon.folder, name)
  await build(...flags, '-o', `type=oci,dest=${layout},tar=false`)
  const read = async (digest: string) => JSON.parse(await readFile(join(layout, 'blobs', ...digest.split(':')), 'utf8'))
  const { manifests } = JSON.parse(await readFile(join(layout, 'index.json'), 'utf8'))
  const index = await read(manifests[0].digest)
  const { layers } = await read(index.manifests[1].digest)
  const statements = await Promise.all(layers.map(({ digest }: Descriptor) => read(digest)))
  return {
    layout,
    digest: manifests[0].digest,
    byType: new Map(statements.map(one => [one.predicateType, one.predicate])),
  }
}

test('the SBOM names the packages of each database, and says what it could not read', { skip }, async () => {
  const { byType } = await attested('sbom', ...asked())
  const { packages, relationships, comment, spdxVersion } = byType.get('https://spdx.dev/Document')
  assert.equal(spdxVersion, 'SPDX-2.3')
  const urls = packages
    .slice(1)
    .map((one: { externalRefs: { referenceLocator: string }[] }) => one.externalRefs[0]?.referenceLocator)
  assert.deepEqual(urls.toSorted(), [
    'pkg:apk/debian/musl@1.2.4-r2?arch=x86_64&distro=debian-12',
    'pkg:apk/debian/zlib@1.3?distro=debian-12',
    'pkg:deb/debian/base-files@12.4?distro=debian-12',
    'pkg:deb/debian/bash@5.2-2%2Bb7?arch=amd64&distro=debian-12',
    'pkg:npm/%40scope/tool@2.0.0',
    'pkg:pypi/foo-bar@1.0',
  ])
  const declared = new Map(
    packages.map((one: { name: string; licenseDeclared: string }) => [one.name, one.licenseDeclared]),
  )
  assert.equal(declared.get('musl'), 'MIT')
  assert.equal(declared.get('zlib'), 'NOASSERTION')
  assert.equal(relationships.length, packages.length)
  assert.match(comment, /\/var\/lib\/rpm\/Packages .*older form/)
})

test('provenance tells of materials and arguments, and secrets are nowhere in what is attested', { skip }, async () => {
  const { layout, byType } = await attested('provenance', ...asked())
  const { buildDefinition } = byType.get('https://slsa.dev/provenance/v1')
  const { args, secrets } = buildDefinition.externalParameters.request
  assert.deepEqual(args, { API_TOKEN: '[redacted]', VISIBLE: 'seen' })
  assert.deepEqual(secrets, ['key'])
  assert.match(buildDefinition.internalParameters.dockerfile, /^FROM /)
  const [{ uri, digest }] = buildDefinition.resolvedDependencies
  assert.equal(uri, 'pkg:docker/test.example/busybox@1?platform=linux%2Famd64')
  assert.match(digest.sha256, /^[0-9a-f]{64}$/)
  assert.ok(!JSON.stringify([...byType.values()]).includes(secret))
  // The label was the author's own wish: the configuration alone may hold it.
  const holding = execFileSync('grep', ['-rl', secret, layout]).toString().trim().split('\n')
  assert.equal(holding.length, 1)
})

test('the mode min tells no arguments; with an epoch the whole index is the same twice', { skip }, async () => {
  const epoch = ['--build-arg', 'SOURCE_DATE_EPOCH=1700000000', '--sbom']
  const { byType, digest } = await attested('min', ...epoch, '--provenance')
  const { buildDefinition } = byType.get('https://slsa.dev/provenance/v1')
  assert.equal(buildDefinition.externalParameters.request.args, undefined)
  assert.equal(buildDefinition.internalParameters.dockerfile, undefined)
  const again = await attested('again', ...epoch, '--no-cache', '--attest', 'type=provenance,mode=min')
  assert.equal(again.digest, digest)
})
