/** `docker cp` (archive), `docker export`, `docker diff`. */

import { lstat } from 'node:fs/promises'
import { basename } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { publishContainerEvent } from '../containers/actor.ts'
import type { ContainerParts } from '../containers/containers.ts'
import { withContainerRoot } from '../containers/roots.ts'
import { isRunning } from '../containers/state.ts'
import type { Found } from '../containers/store.ts'
import { bodyStream } from '../http/body.ts'
import { badRequest, forbidden, notFound } from '../http/http-error.ts'
import { Query } from '../http/query.ts'
import { pathParameter, type Reply, type Request, type Routes } from '../http/routes.ts'
import { changesOf } from './changes.ts'
import { withTree } from './container-tree.ts'
import { packEntry } from './pack.ts'
import { pathStat, pathStatHeader } from './path-stat.ts'
import { Folder, findEntry } from './root-files.ts'
import { unpackInto } from './unpack.ts'

export function archiveRoutes(parts: ContainerParts): Routes {
  const { engine } = parts
  const get = (request: Request) => parts.store.get(pathParameter(request, 'id'))
  return app => {
    app.head('/containers/:id/archive', async (request, reply) => {
      const path = wantedPath(request)
      const found = await get(request)
      await withTree(engine, found, root =>
        orMissing(request, path, async () => {
          using entry = await findEntry(root, path)
          reply.header(pathStatHeader, await pathStat(entry))
        }),
      )
      return reply.code(200).send()
    })
    app.get('/containers/:id/archive', async (request, reply) => {
      const path = wantedPath(request)
      const found = await get(request)
      await withTree(engine, found, root => orMissing(request, path, () => sendArchive(root, path, reply)))
      publishContainerEvent(engine.events, found, 'archive-path')
      return reply
    })
    app.put('/containers/:id/archive', async (request, reply) => {
      const path = wantedPath(request)
      const found = await get(request)
      const query = new Query(request)
      const body = bodyStream(request)
      if (!body) throw badRequest('no archive in the request')
      await withTree(engine, found, root =>
        orMissing(request, path, async () => {
          using _ = await openTarget(root, path)
          checkWritable(found, path)
          await unpackInto(root, targetOf(path), body, { keepKinds: query.flag('noOverwriteDirNonDir') })
        }),
      )
      publishContainerEvent(engine.events, found, 'extract-to-dir')
      return reply.code(200).send()
    })
    app.get('/containers/:id/export', async (request, reply) => {
      const found = await get(request)
      const send = async (root: string) => {
        using entry = await findEntry(root, '/')
        beginStream(reply, 'application/octet-stream')
        await pipeline(packEntry(root, entry, { as: '', oneFileSystem: true }), reply.raw)
      }
      await (isRunning(found.state) ? withTree(engine, found, send) : withContainerRoot(engine, found, send))
      publishContainerEvent(engine.events, found, 'export')
      return reply
    })
    app.get('/containers/:id/changes', async request => changesOf(engine, await get(request)))
  }
}

function wantedPath(request: Request): string {
  const path = new Query(request).text('path')
  if (path === '') throw badRequest('bad parameter: path cannot be empty')
  return path
}

const targetOf = (path: string) => `/${path}`.replace(/\/+/g, '/').replace(/\/\.?$/, '') || '/'

/** The path must be a directory. */
async function openTarget(root: string, path: string): Promise<Folder> {
  try {
    return await Folder.open(root, path)
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOTDIR')
      throw badRequest('extraction point is not a directory', { cause: error })
    throw error
  }
}

/** A read-only root can be written to where a volume is. */
function checkWritable({ record }: Found, path: string): void {
  const under = record.mounts.filter(({ Destination }) => `${targetOf(path)}/`.startsWith(`${Destination}/`))
  const deepest = under.sort((a, b) => b.Destination.length - a.Destination.length)[0]
  if (deepest && !deepest.RW) throw forbidden('mounted volume is marked read-only')
  if (!deepest && record.hostConfig.ReadonlyRootfs) throw forbidden('container rootfs is marked read-only')
}

async function sendArchive(root: string, path: string, reply: Reply): Promise<void> {
  using entry = await findEntry(root, path)
  await lstat(entry.folder.at(entry.name))
  reply.header(pathStatHeader, await pathStat(entry))
  beginStream(reply, 'application/x-tar')
  await pipeline(packEntry(root, entry, { as: archiveName(path, entry.path) }), reply.raw)
}

/** `docker cp CTR:/dir/.` copies what is in it. */
function archiveName(wanted: string, path: string): string {
  return /\/\.$/.test(wanted) || wanted === '.' ? '.' : path === '/' ? '/' : basename(path)
}

function beginStream(reply: Reply, type: string): void {
  reply.hijack()
  reply.raw.writeHead(200, { ...(reply.getHeaders() as Record<string, string>), 'Content-Type': type })
}

async function orMissing<T>(request: Request, path: string, body: () => Promise<T>): Promise<T> {
  try {
    return await body()
  } catch (error) {
    if (error instanceof Error && 'code' in error && (error.code === 'ENOENT' || error.code === 'ENOTDIR'))
      throw notFound(`Could not find the file ${path} in container ${pathParameter(request, 'id')}`, { cause: error })
    throw error
  }
}
