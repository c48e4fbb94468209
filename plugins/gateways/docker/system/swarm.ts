/** Swarm's endpoints, as a node answers that is in none. */
import { notImplemented, unavailable } from '../http/http-error.ts'
import type { App } from '../http/routes.ts'

const notManager =
  'This node is not a swarm manager. Use "docker swarm init" or "docker swarm join" to connect this node to swarm and try again.'
const notMember = 'This node is not part of a swarm'
const noSwarm = 'swarm mode is not implemented: this engine is a single node'

/** The nouns that only managers serve. */
const nouns = ['nodes', 'services', 'tasks', 'secrets', 'configs']

export const swarmRoutes = (app: App): void => {
  const refuse = (message: string) => () => {
    throw unavailable(message)
  }
  for (const noun of nouns)
    for (const url of [`/${noun}`, `/${noun}/*`])
      app.route({ method: ['GET', 'POST', 'DELETE'], url, handler: refuse(notManager) })
  app.get('/swarm', refuse(notManager))
  app.get('/swarm/unlockkey', refuse(notManager))
  app.post('/swarm/update', refuse(notManager))
  app.post('/swarm/leave', refuse(notMember))
  app.post('/swarm/unlock', refuse(notMember))
  for (const url of ['/swarm/init', '/swarm/join'])
    app.post(url, () => {
      throw notImplemented(noSwarm)
    })
}
