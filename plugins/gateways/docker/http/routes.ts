/**
 * The seam between the server and the nouns: each folder of nouns exports one function of this type, and
 * `gateway.ts` lists them. Paths are written without `/vX.Y`: the server has taken it off, and `apiVersion(request)`
 * tells it.
 *
 *     export const volumeRoutes: Routes = (app, engine) => {
 *       app.get('/volumes', async request => list(engine, new Query(request)))
 *     }
 *
 * A route validates, translates and makes a call of the core. What it answers is sent as JSON; what it throws becomes
 * `{"message": …}` with the status of {@link ./http-error.ts}.
 */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { Engine } from '../engine/engine.ts'
import type { ApiVersion } from './api-version.ts'

export type App = FastifyInstance
export type Request = FastifyRequest
export type Reply = FastifyReply

export type Routes = (app: App, engine: Engine) => void

declare module 'fastify' {
  interface FastifyRequest {
    /** Of the path; the announced one for a path without. */
    apiVersion: ApiVersion
  }
}

/** A named part of the path. */
export function pathParameter(request: Request, name: string): string {
  return (request.params as Record<string, string | undefined>)[name] ?? ''
}
