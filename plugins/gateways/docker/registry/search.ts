/** `docker search`: Docker Hub's search, else the list of repositories that a registry gives (distribution's `_catalog`). */
import type { Filters } from '../http/filters.ts'
import { badRequest } from '../http/http-error.ts'
import type { RegistryAuth } from './credentials.ts'
import type { RegistryHosts } from './host-files.ts'
import { parseJson, RegistryClient, refused } from './registry-client.ts'

export interface SearchRequest {
  term: string
  limit: number
  filters: Filters
  auth: RegistryAuth
}

interface Found {
  star_count: number
  is_official: boolean
  name: string
  is_automated: boolean
  description: string
}

const defaultLimit = 25

export async function searchImages(
  hosts: RegistryHosts,
  { term, limit, filters, auth }: SearchRequest,
): Promise<Found[]> {
  if (term.includes('://')) throw badRequest('invalid repository name: repository name should not have a scheme')
  const { domain, rest } = splitTerm(term)
  const client = new RegistryClient(hosts, domain, auth)
  const found = await bySearch(client, rest, limit || defaultLimit)
  const results = found ?? (await byCatalog(client, domain, rest, limit || defaultLimit))
  return results.filter(result => fits(result, filters))
}

/** `host/term`; the host as in names of images. */
function splitTerm(term: string): { domain: string; rest: string } {
  const [first = '', ...rest] = term.split('/')
  const isHost = rest.length > 0 && (/[.:]/.test(first) || first === 'localhost')
  return isHost ? { domain: first, rest: rest.join('/') } : { domain: 'docker.io', rest: term }
}

/** The old index protocol, which only Docker Hub and some others still speak; undefined where nobody does. */
async function bySearch(client: RegistryClient, term: string, limit: number): Promise<Found[] | undefined> {
  const answer = await client.get(`/v1/search?q=${encodeURIComponent(term)}&n=${limit}`)
  if (answer.status === 404) return undefined
  if (answer.status !== 200) throw refused(`search for ${term}`, answer)
  const { results } = parseJson(answer.body) as { results?: Partial<Found>[] | null }
  return (results ?? []).map(complete).slice(0, limit)
}

async function byCatalog(client: RegistryClient, domain: string, term: string, limit: number): Promise<Found[]> {
  const answer = await client.get('/v2/_catalog?n=1000', { scope: 'registry:catalog:*' })
  if (answer.status !== 200) throw refused(`registry ${domain} does not offer a search`, answer)
  const { repositories } = parseJson(answer.body) as { repositories?: string[] | null }
  const names = (repositories ?? []).filter(name => typeof name === 'string' && name.includes(term)).slice(0, limit)
  return names.map(name =>
    complete({ name: domain === 'docker.io' ? name.replace(/^library\//, '') : `${domain}/${name}` }),
  )
}

function complete(result: Partial<Found>): Found {
  const { star_count = 0, is_official = false, name = '', is_automated = false, description = '' } = result
  return { star_count, is_official, name, is_automated, description }
}

function fits(result: Found, filters: Filters): boolean {
  const [official, automated] = [filters.flag('is-official'), filters.flag('is-automated')]
  const stars = filters.values('stars').map(text => {
    if (!/^\d+$/.test(text)) throw badRequest(`invalid filter 'stars=${text}'`)
    return Number(text)
  })
  if (official !== undefined && official !== result.is_official) return false
  if (automated !== undefined && automated !== result.is_automated) return false
  return stars.every(least => result.star_count >= least)
}
