/** The shim's own messages: a FIFO in the bundle that this daemon keeps open, so that opening it never blocks the shim. */
import { constants, openSync } from 'node:fs'
import { Socket } from 'node:net'
import { createInterface } from 'node:readline'
import type { Logger } from '#api/log/log.ts'
import { isSysError, mknod } from '#api/sys/sys.ts'
import type { Bundle } from './bundle.ts'
import { shimLogPath } from './shim-process.ts'

const S_IFIFO = 0o010000

/** Makes the FIFO unless it is there, and passes every line on to `logger` until disposed. */
export async function followShimLog(bundle: Bundle, logger: Logger): Promise<Disposable> {
  const path = shimLogPath(bundle)
  await mknod(path, S_IFIFO | 0o700).catch(error => {
    if (!isSysError(error, 'EEXIST')) throw error
  })
  // Both ends, so that it has a reader always and never reports its end when a shim closes it.
  // The synchronous call, for a descriptor that is the socket's alone; with these flags it does not wait.
  const fd = openSync(path, constants.O_RDWR | constants.O_NONBLOCK)
  const socket = new Socket({ fd, readable: true, writable: false })
  socket.unref()
  socket.on('error', error => logger.debug({ err: error, id: bundle.id }, 'shim log'))
  const lines = createInterface({ input: socket, crlfDelay: Number.POSITIVE_INFINITY })
  lines.on('line', line => logger.info({ shim: bundle.id, ns: bundle.namespace }, line.slice(0, 8192)))
  return { [Symbol.dispose]: () => void socket.destroy() }
}
