/** Socket files that nobody listens on: what processes that were killed leave. */
import { rm } from 'node:fs/promises'
import { connect } from 'node:net'
import { join } from 'node:path'
import { namesIn } from '#api/sys/folders.ts'

/** `inUse`: paths that are not tried. */
export async function removeDeadSockets(folder: string, inUse: ReadonlySet<string>): Promise<void> {
  const paths = (await namesIn(folder)).map(name => join(folder, name))
  await Promise.all(paths.filter(path => !inUse.has(path)).map(removeIfDead))
}

/** The file of an address, `unix://` or not. */
export const socketPath = (address: string): string => address.replace(/^unix:(\/\/)?/, '')

/** `path`: of one socket, `unix://` or not. */
export async function removeIfDead(path: string): Promise<void> {
  const file = socketPath(path)
  if (await isRefused(file)) await rm(file, { force: true })
}

function isRefused(path: string): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>()
  const socket = connect(path)
  socket.once('connect', () => {
    socket.destroy()
    resolve(false)
  })
  socket.once('error', (error: NodeJS.ErrnoException) => resolve(error.code === 'ECONNREFUSED'))
  return promise
}
