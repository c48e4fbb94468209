/** The composition root of the gateway: who is given to whom. */
import { chmod, chown, rm } from 'node:fs/promises'
import type { Logger } from '#api/log/log.ts'
import { connectCore } from './core-client/core.ts'
import type { Engine } from './engine/engine.ts'
import type { EngineSettings } from './engine/settings.ts'
import { pingRoutes } from './http/ping.ts'
import type { Routes } from './http/routes.ts'
import { createHttpServer } from './http/server.ts'

export interface RunningGateway {
  close(): Promise<void>
}

/** Each noun's routes. */
const routes: readonly Routes[] = [pingRoutes]

/** Listening on the settings' socket when it resolves. */
export async function openGateway(settings: EngineSettings, log: Logger): Promise<RunningGateway> {
  const core = connectCore(settings.coreAddress)
  const engine = { core, settings, log } as Engine
  const app = createHttpServer({ apiVersion: settings.apiVersion, version: settings.version, log })
  for (const add of routes) add(app, engine)
  await rm(settings.socket, { force: true })
  await app.listen({ path: settings.socket })
  await admit(settings)
  return {
    async close() {
      await app.close()
      core.close()
    },
  }
}

/** Whoever may use the socket is as good as root: root alone, or the group. */
async function admit({ socket, groupId }: EngineSettings): Promise<void> {
  await chmod(socket, groupId === undefined ? 0o600 : 0o660)
  if (groupId !== undefined) await chown(socket, 0, groupId)
}
