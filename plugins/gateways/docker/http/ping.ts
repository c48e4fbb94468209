/** `/_ping`: every command of the docker CLI begins with it. */
import type { Routes } from './routes.ts'

/** Read by clients that negotiate: builder 1 is the classic one (BuildKit's is 2). */
const pingHeaders = {
  'Builder-Version': '1',
  Swarm: 'inactive',
  'Cache-Control': 'no-cache, no-store, must-revalidate',
  Pragma: 'no-cache',
  'Content-Type': 'text/plain; charset=utf-8',
} as const

export const pingRoutes: Routes = app => {
  app.get('/_ping', async (_, reply) => reply.headers(pingHeaders).send('OK'))
  app.head('/_ping', async (_, reply) => reply.headers({ ...pingHeaders, 'Content-Length': '0' }).send())
}
