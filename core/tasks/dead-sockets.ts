/** Socket files that nobody listens on: what processes that were killed leave. */
import { rm } from 'node:fs/promises'
import { connect } from 'node:net'
import { join } from 'node:path'
import { namesIn } from '#api/sys/folders.ts'

export async function removeDeadSockets(folder: string): Promise<void> {
  const names = await namesIn(folder)
  await Promise.all(names.map(name => removeIfDead(join(folder, name))))
}

/** `path`: of one socket, `unix://` or not. */
export async function removeIfDead(path: string): Promise<void> {
  const file = path.replace(/^unix:(\/\/)?/, '')
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
