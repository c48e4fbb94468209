/** The endpoints of images. Names have slashes, so that their paths end in what is to be done: `/images/team/app/json`. */
import { Readable } from 'node:stream'
import type { Engine } from '../engine/engine.ts'
import { type ApiVersion, atLeast } from '../http/api-version.ts'
import { bodyStream } from '../http/body.ts'
import { badRequest, forbidden, notFound, notImplemented } from '../http/http-error.ts'
import { Query } from '../http/query.ts'
import type { App, Reply, Request } from '../http/routes.ts'
import { authHeader } from '../registry/credentials.ts'
import { loadImages, saveImages } from './archive.ts'
import { readPlatform } from './docker-images.ts'
import { importImage } from './import.ts'
import { imageHistory, inspectImage, inspectManifests } from './inspect.ts'
import { listImages } from './list.ts'
import { parseNameAndTag } from './names.ts'
import { leaving, sendProgress, sendProgressAlways } from './progress-reply.ts'
import { pruneImages } from './prune.ts'
import { pullAll, pullImage } from './pull.ts'
import { pushImage } from './push.ts'
import { removeImage } from './remove.ts'
import type { ImageRoom } from './room.ts'
import { tagImage } from './tag.ts'

export function imageRoutes(room: ImageRoom): (app: App, engine: Engine) => void {
  return app => {
    app.get('/images/json', request => listImages(room, new Query(request), request.apiVersion))
    app.post('/images/create', (request, reply) => create(room, request, reply))
    app.post('/images/load', (request, reply) => load(room, request, reply))
    app.post('/images/prune', request => pruneImages(room, new Query(request)))
    app.get('/images/get', (request, reply) => save(room, request, reply, new Query(request).all('names')))
    app.get('/images/*', (request, reply) => get(room, request, reply))
    app.post('/images/*', (request, reply) => post(room, request, reply))
    app.delete('/images/*', request => {
      const query = new Query(request)
      return removeImage(room, restOf(request), query.flag('force'))
    })
  }
}

function restOf(request: Request): string {
  const name = (request.params as { '*'?: string })['*'] ?? ''
  if (name.trim() === '') throw badRequest('image name cannot be blank')
  return name
}

/** The name, and the verb behind its last slash. */
function split(request: Request): { name: string; verb: string } {
  const path = restOf(request)
  const slash = path.lastIndexOf('/')
  return { name: path.slice(0, Math.max(0, slash)), verb: path.slice(slash + 1) }
}

async function get(room: ImageRoom, request: Request, reply: Reply): Promise<unknown> {
  const { name, verb } = split(request)
  const query = new Query(request)
  if (name === '') throw notFound('page not found')
  switch (verb) {
    case 'json':
      return inspect(room, name, query, request)
    case 'history':
      return imageHistory(room, await room.catalog.resolve(name, platformOf(request, query, '1.48')))
    case 'get':
      return save(room, request, reply, [name])
    case 'attestations':
      throw notImplemented('attestations are not implemented')
    default:
      throw notFound('page not found')
  }
}

async function inspect(room: ImageRoom, name: string, query: Query, request: Request): Promise<object> {
  const withManifests = query.flag('manifests') && atLeast(request.apiVersion, '1.48')
  const platform = platformOf(request, query, '1.49')
  if (withManifests && platform)
    throw badRequest('conflicting options: manifests and platform options cannot both be set')
  const image = await room.catalog.resolve(name, platform)
  const answer = await inspectImage(room, image, understoodVersion(request))
  return withManifests ? { ...answer, Manifests: await inspectManifests(room, image) } : answer
}

/**
 * docker-compose 1 speaks whatever version is announced, but knows none after 1.41: without `ContainerConfig`, which
 * 1.45 dropped, it cannot make a container anew (its users met that with Docker 25).
 */
function understoodVersion({ headers, apiVersion }: Request): ApiVersion {
  return /^docker-compose\/1\./.test(headers['user-agent'] ?? '') && atLeast(apiVersion, '1.42') ? '1.41' : apiVersion
}

async function post(room: ImageRoom, request: Request, reply: Reply): Promise<unknown> {
  const { name, verb } = split(request)
  const query = new Query(request)
  if (verb === 'tag' && name !== '') {
    await tagImage(room, name, query.text('repo'), query.text('tag'))
    return reply.code(201).send()
  }
  if (verb === 'push' && name !== '') return push(room, name, request, reply)
  throw notFound('page not found')
}

function push(room: ImageRoom, name: string, request: Request, reply: Reply): Promise<Reply> {
  const query = new Query(request)
  const tag = query.text('tag')
  const repository = parseNameAndTag(name, tag)
  const details = {
    repository,
    tag: tag === '' ? '' : (repository.tag ?? ''),
    platform: platformOf(request, query, '1.46'),
    auth: authHeader(request),
    headers: metaHeaders(request),
    signal: leaving(reply),
  }
  return sendProgress(reply, pushImage(room, details))
}

/** Two verbs under one path: a pull, or the import of an archive. */
function create(room: ImageRoom, request: Request, reply: Reply): Promise<Reply> {
  const query = new Query(request)
  const platform = platformOf(request, query, '1.32')
  const signal = leaving(reply)
  const image = query.text('fromImage').replace(/:$/, '')
  if (image === '') return importArchive(room, request, reply, query)
  const tag = query.text('tag')
  const reference = parseNameAndTag(image, tag)
  if (reference.repository === 'library/scratch') throw forbidden("'scratch' is a reserved name")
  const details = { reference, platform, auth: authHeader(request), headers: metaHeaders(request), signal }
  const isWhole = tag === '' && !/[:@][^/]*$/.test(image)
  return sendProgress(reply, isWhole ? pullAll(room, details) : pullImage(room, details))
}

function importArchive(room: ImageRoom, request: Request, reply: Reply, query: Query): Promise<Reply> {
  const [source, repository, tag] = [query.text('fromSrc'), query.text('repo'), query.text('tag')]
  if (source === '') throw badRequest('neither fromImage nor fromSrc is given')
  const details = {
    body: bodyStream(request) ?? Readable.from([]),
    source,
    reference: repository === '' ? undefined : parseNameAndTag(repository, tag),
    message: query.text('message'),
    changes: query.all('changes'),
    platform: platformOf(request, query, '1.32'),
    signal: leaving(reply),
  }
  return sendProgress(reply, importImage(room, details))
}

function load(room: ImageRoom, request: Request, reply: Reply): Promise<Reply> {
  const query = new Query(request)
  const platform = platformOf(request, query, '1.48')
  const options = { platform, isQuiet: query.flag('quiet', true), signal: leaving(reply) }
  return sendProgressAlways(reply, loadImages(room, bodyStream(request) ?? Readable.from([]), options))
}

async function save(room: ImageRoom, request: Request, reply: Reply, names: readonly string[]): Promise<Reply> {
  const platform = platformOf(request, new Query(request), '1.48')
  const archive = await saveImages(room, names, platform, leaving(reply))
  return reply.header('Content-Type', 'application/x-tar').send(archive)
}

/** Since 1.48 it may be the JSON of a platform; before its own version the parameter means nothing. */
function platformOf(request: Request, query: Query, since: `${number}.${number}`) {
  const text = query.text('platform')
  if (text === '' || !atLeast(request.apiVersion, since)) return undefined
  if (!text.startsWith('{')) return readPlatform(text)
  try {
    const { os = '', architecture = '', variant = '' } = JSON.parse(text)
    return readPlatform([os, architecture, variant].filter(part => part !== '').join('/'))
  } catch (cause) {
    throw badRequest(`failed to parse platform: ${text}`, { cause })
  }
}

function metaHeaders({ headers }: Request): Record<string, string> {
  const meta = Object.entries(headers).filter(([name]) => name.startsWith('x-meta-'))
  return Object.fromEntries(
    meta.map(([name, value]) => [name, Array.isArray(value) ? value.join(', ') : (value ?? '')]),
  )
}
