/** Endpoints that exist in Docker and not here: they say so, and what to do instead. */
import { notFound, notImplemented } from '../http/http-error.ts'
import type { App, Request } from '../http/routes.ts'

const noPlugins = 'managed plugins are not implemented: plugins of Gantry are configured in gantryd'

export const notServedRoutes = (app: App): void => {
  const refuse = (message: string) => () => {
    throw notImplemented(message)
  }
  app.get('/plugins', () => [])
  app.get('/plugins/privileges', refuse(noPlugins))
  app.get('/plugins/*', request => {
    throw noSuchPlugin(request)
  })
  app.delete('/plugins/*', request => {
    throw noSuchPlugin(request)
  })
  for (const url of ['/plugins/pull', '/plugins/create']) app.post(url, refuse(noPlugins))
  app.post('/plugins/*', request => {
    throw noSuchPlugin(request)
  })
}

/** `/plugins/NAME`, or with a verb behind it. */
function noSuchPlugin(request: Request): Error {
  const path = (request.params as { '*'?: string })['*'] ?? ''
  const name = path.replace(/\/(json|enable|disable|upgrade|push|set)$/, '')
  return notFound(`plugin "${name}" not found`)
}
