// How a registry is reached: TLS, host directories, mirrors, credentials, tokens.
import assert from 'node:assert/strict'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { after, before, describe, test } from 'node:test'
import { isGantryError } from '#api/errors/errors.ts'
import { parseDescriptor } from '#api/types/oci.ts'
import { descriptorOf, makeImage } from '../../test/fixtures/make-image.ts'
import { makeCertificate } from '../../test/registry/certificate.ts'
import { startFaultyProxy } from '../../test/registry/faulty-proxy.ts'
import { putImage } from '../../test/registry/put-image.ts'
import { startRegistry } from '../../test/registry/registry.ts'
import { issuer, service, startTokenServer } from '../../test/registry/token-server.ts'
import { parseChallenges } from './challenge.ts'
import { loadHosts } from './hosts.ts'
import { type CredentialSource, createRemotes, type RemoteOptions } from './remotes.ts'

const image = makeImage({ layers: [[{ path: 'a', content: 'a' }]] })
const basic = `Basic ${Buffer.from('ann:secret').toString('base64')}`
const fast = { attempts: 2, baseDelayMs: 1 }
const password =
  (text: string): CredentialSource =>
  async () => ({ kind: 'password', username: 'ann', password: text })

describe('access to registries', () => {
  let folder: string
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'gantry-access-'))
  })
  after(() => rm(folder, { recursive: true }))

  async function resolve(reference: string, options: RemoteOptions = {}) {
    await using remotes = createRemotes(fast)
    return (await (await remotes.open(reference, options)).resolve()).digest
  }

  /** A host directory with one hosts.toml. */
  async function hostDir(name: string, toml: string): Promise<string> {
    const dir = await mkdtemp(join(folder, 'hosts-'))
    await mkdir(join(dir, name), { recursive: true })
    await writeFile(join(dir, name, 'hosts.toml'), toml)
    return dir
  }

  test('TLS: an unknown authority is refused, a configured one trusted, a mirror asked first', async () => {
    const files = makeCertificate(folder)
    await using registry = await startRegistry({ tls: files })
    await using plain = await startRegistry()
    await putImage(plain.host, 'app', 'v1', image)
    await using proxy = await startFaultyProxy(plain.host)
    const strict = await hostDir('_default', `server = "https://${registry.host}"`)
    await assert.rejects(resolve('reg.example/app:v1', { hostDir: strict }), (error: unknown) => {
      assert.ok(isGantryError(error, 'UNAVAILABLE'))
      assert.match(error.message, /self-signed certificate/)
      return true
    })
    const trusting = `server = "https://${registry.host}"\nca = "${files.certificate}"\n`
    const trusted = resolve('reg.example/app:v1', { hostDir: await hostDir('_default', trusting) })
    await assert.rejects(trusted, /answered 404/)
    const mirrored = await hostDir(
      'reg.example',
      `${trusting}[host."http://${proxy.host}"]\ncapabilities = ["pull", "resolve"]\n`,
    )
    assert.equal(await resolve('reg.example/app:v1', { hostDir: mirrored }), image.target.digest)
    assert.match(proxy.seen[0]?.url ?? '', /\?ns=reg\.example$/)
    proxy.rules = [{ path: /./, fault: { kind: 'status', status: 500 } }]
    await assert.rejects(
      resolve('reg.example/app:v1', { hostDir: mirrored }),
      /answered 404/,
      'then the registry itself',
    )
    assert.equal(
      await resolve(`${registry.host}/app:v1`).catch(error => error.code),
      'NOT_FOUND',
      'loopback speaks TLS too',
    )
  })

  test('host configurations that are wrong name file and key', async () => {
    const cases: [string, RegExp][] = [
      ['server = [', /hosts\.toml: /],
      ['server = 7', /hosts\.toml: server: /],
      ['[host."http://x"]\ncapabilities = ["fly"]', /hosts\.toml: host\.http:\/\/x\.capabilities\.0/],
      ['dial_timeout = "soon"', /dial_timeout "soon" is not a duration/],
    ]
    for (const [toml, message] of cases)
      await assert.rejects(
        loadHosts('h', { hostDir: await hostDir('h', toml) }),
        (error: unknown) => {
          assert.ok(isGantryError(error, 'INVALID_ARGUMENT'))
          return message.test(error.message)
        },
        toml,
      )
  })

  test('hosts are tried in the order written; ports and paths as containerd reads them', async () => {
    const toml = `
server = "https://up.example"
[host."https://b.example:8443/prefix"]
[host."http://a.example/exact"]
override_path = true
dial_timeout = "1m30s"
[host."http://a.example/exact".header]
x-one = ["1", "2"]
`
    const hosts = await loadHosts('up.example:5000', { hostDir: await hostDir('up.example_5000_', toml) })
    assert.deepEqual(
      hosts.map(({ scheme, host, path }) => `${scheme} ${host}${path}`),
      ['https b.example:8443/prefix/v2', 'http a.example/exact', 'https up.example/v2'],
    )
    assert.deepEqual(hosts[1]?.headers, { 'x-one': '1, 2' })
    assert.equal(hosts[1]?.connectTimeoutMs, 90_000)
  })

  test('basic credentials', async () => {
    await using registry = await startRegistry({ user: { name: 'ann', password: 'secret' } })
    await putImage(registry.host, 'app', 'v1', image, basic)
    const reference = `${registry.host}/app:v1`
    assert.equal(await resolve(reference, { credentials: password('secret') }), image.target.digest)
    const header: CredentialSource = async () => ({ kind: 'header', value: basic })
    assert.equal(await resolve(reference, { credentials: header }), image.target.digest)
    for (const credentials of [undefined, password('wrong')])
      await assert.rejects(resolve(reference, { credentials }), (error: unknown) => {
        assert.ok(isGantryError(error, 'UNAUTHENTICATED'))
        assert.doesNotMatch(error.message, /wrong/)
        return true
      })
  })

  test('tokens: anonymous for a pull, with credentials for a push, kept per scope, renewed when they expire', async () => {
    const files = makeCertificate(folder)
    await using tokens = await startTokenServer(files, basic)
    const { realm } = tokens
    await using registry = await startRegistry({ token: { realm, service, issuer, rootcertbundle: files.certificate } })
    await using remotes = createRemotes(fast)
    const reference = `${registry.host}/team/app:v1`
    const writer = await remotes.open(reference, { credentials: password('secret') })
    for (const blob of image.blobs.slice(0, -1))
      await writer.pushBlob(parseDescriptor('blob', descriptorOf(blob)), { open: () => Readable.from([blob.bytes]) })
    await writer.pushManifest(parseDescriptor('m', descriptorOf(image.target)), image.target.bytes, { tag: 'v1' })
    assert.deepEqual(
      tokens.asked.map(({ authorized }) => authorized),
      [true],
      'one token for the whole push',
    )
    assert.ok(tokens.asked[0]?.scopes.includes('repository:team/app:pull,push'))
    tokens.asked.length = 0
    const reader = await remotes.open(reference)
    assert.equal((await reader.resolve()).digest, image.target.digest)
    await reader.resolve()
    assert.deepEqual(
      tokens.asked.map(({ authorized }) => authorized),
      [false],
    )
    tokens.lifetimeSeconds = 1
    const hasty = await remotes.open(reference)
    await hasty.resolve()
    await hasty.resolve()
    assert.equal(tokens.asked.length, 3, 'a token about to expire is not used again')
    tokens.lifetimeSeconds = 300
    const refused = await remotes.open(reference, { credentials: password('wrong') })
    await assert.rejects(refused.resolve(), /token for .*answered 401/)
  })

  test('a redirect to another host gets no credentials', async () => {
    await using registry = await startRegistry()
    await putImage(registry.host, 'app', 'v1', image)
    await using storage = await startFaultyProxy(registry.host)
    await using front = await startFaultyProxy(registry.host)
    const location = `http://${storage.host}/v2/app/manifests/v1`
    front.rules = [
      {
        path: /manifests/,
        times: 1,
        fault: { kind: 'status', status: 401, headers: { 'www-authenticate': 'Basic realm="x"' } },
      },
      { path: /manifests/, fault: { kind: 'status', status: 307, headers: { location } } },
    ]
    assert.equal(
      await resolve(`${front.host}/app:v1`, { credentials: password('secret'), defaultScheme: 'http' }),
      image.target.digest,
    )
    assert.equal(front.seen.at(-1)?.authorization, basic)
    assert.equal(storage.seen.length, 1)
    assert.equal(storage.seen[0]?.authorization, undefined)
  })

  test('challenges are read as RFC 9110 writes them', () => {
    const read = (...headers: string[]) =>
      parseChallenges(headers).map(({ scheme, parameters }) => [scheme, parameters])
    assert.deepEqual(read('Bearer realm="https://t/x",service="s",scope="repository:a:pull,push"'), [
      ['bearer', { realm: 'https://t/x', service: 's', scope: 'repository:a:pull,push' }],
    ])
    assert.deepEqual(read('Basic realm="a \\"b\\"", Bearer realm=t', 'Negotiate'), [
      ['basic', { realm: 'a "b"' }],
      ['bearer', { realm: 't' }],
      ['negotiate', {}],
    ])
    assert.deepEqual(read('', ',,', '"'), [])
  })
})
