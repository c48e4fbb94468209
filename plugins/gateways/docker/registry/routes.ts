/** `/auth`, `/images/search` and `/distribution/{name}/json`: questions to registries. */
import * as z from 'zod'
import { mediaTypes } from '#api/types/oci.ts'
import { readJson } from '../http/body.ts'
import { Filters } from '../http/filters.ts'
import { badRequest, notFound } from '../http/http-error.ts'
import { Query } from '../http/query.ts'
import type { App, Request } from '../http/routes.ts'
import { parseName } from '../images/names.ts'
import { authHeader, authOf } from './credentials.ts'
import type { RegistryHosts } from './host-files.ts'
import { parseJson, RegistryClient, refused } from './registry-client.ts'
import { searchImages } from './search.ts'

export function registryRoutes(hosts: RegistryHosts): (app: App) => void {
  return app => {
    app.post('/auth', request => login(hosts, request))
    app.get('/images/search', request => search(hosts, request))
    app.get('/distribution/*', request => inspectDistribution(hosts, request))
  }
}

async function login(hosts: RegistryHosts, request: Request): Promise<object> {
  const auth = authOf(await readJson(request, z.looseObject({})))
  const client = new RegistryClient(hosts, domainOf(auth.serverAddress), auth)
  await client.login()
  return { IdentityToken: client.identityToken, Status: 'Login Succeeded' }
}

/** `https://index.docker.io/v1/` is what clients call Docker Hub. */
function domainOf(serverAddress: string): string {
  const host = serverAddress.replace(/^https?:\/\//, '').replace(/\/.*$/, '')
  return host === '' || /^((index|registry-1|registry)\.)?docker\.io$/.test(host) ? 'docker.io' : host
}

function search(hosts: RegistryHosts, request: Request): Promise<object[]> {
  const query = new Query(request)
  const filters = Filters.read(query, ['is-automated', 'is-official', 'stars'])
  const limit = query.integer('limit') ?? 0
  if (limit < 0 || limit > 100) throw badRequest(`limit ${limit} is outside the range of [1, 100]`)
  return searchImages(hosts, { term: query.text('term'), limit, filters, auth: authHeader(request) })
}

const accepted = [mediaTypes.ociIndex, mediaTypes.dockerList, mediaTypes.ociManifest, mediaTypes.dockerManifest].join(
  ', ',
)

interface Document {
  mediaType?: string
  config?: { digest?: string }
  manifests?: { platform?: { os?: string; architecture?: string; variant?: string } }[]
}

async function inspectDistribution(hosts: RegistryHosts, request: Request): Promise<object> {
  const path = (request.params as { '*'?: string })['*'] ?? ''
  if (!path.endsWith('/json')) throw notFound('page not found')
  const reference = parseName(path.slice(0, -'/json'.length))
  const { domain, repository } = reference
  const client = new RegistryClient(hosts, domain, authHeader(request))
  const scope = `repository:${repository}:pull`
  const name = reference.digest ?? reference.tag ?? 'latest'
  const answer = await client.get(`/v2/${repository}/manifests/${name}`, { accept: accepted, scope })
  if (answer.status !== 200) throw refused(`manifest ${name} of ${domain}/${repository}`, answer)
  const document = parseJson(answer.body) as Document
  const mediaType = document.mediaType ?? answer.header('content-type')
  const digest = answer.header('docker-content-digest')
  const platforms = document.manifests?.map(({ platform = {} }) => platform) ?? [
    await configPlatform(client, repository, document),
  ]
  return { Descriptor: { mediaType, digest, size: answer.body.length }, Platforms: platforms }
}

async function configPlatform(client: RegistryClient, repository: string, { config }: Document): Promise<object> {
  const scope = `repository:${repository}:pull`
  const answer = await client.get(`/v2/${repository}/blobs/${config?.digest ?? ''}`, { scope })
  if (answer.status !== 200) return {}
  const { os, architecture, variant } = parseJson(answer.body) as Record<string, unknown>
  return { architecture, os, ...(variant !== undefined && { variant }) }
}
