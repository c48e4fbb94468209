/** A socket that answers `docker ps` with a kept text at once: what is left of a row is the docker command's own. */
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** `containers`: the body of its list. Answers the socket's path; `scope` ends it. */
export async function stillDaemon(scope: AsyncDisposableStack, containers: string): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'gantry-still-'))
  scope.defer(() => rm(folder, { recursive: true }))
  const server = createServer((request, answer) => {
    answer.setHeader('Api-Version', '1.51').setHeader('Ostype', 'linux').setHeader('Content-Type', 'application/json')
    answer.end(request.url?.endsWith('/_ping') ? 'OK' : containers)
  })
  const socket = join(folder, 'docker.sock')
  await once(server.listen(socket), 'listening')
  scope.defer(() => {
    server.closeAllConnections()
    server.close()
  })
  return socket
}
