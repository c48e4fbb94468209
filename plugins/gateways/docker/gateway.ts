/** The composition root of the gateway: who is given to whom. */
import { chmod, chown, rm } from 'node:fs/promises'
import type { Server } from 'node:https'
import type { FastifyInstance } from 'fastify'
import type { Logger } from '#api/log/log.ts'
import { buildRoutes } from './builds/routes.ts'
import { allContainerRoutes } from './containers/all-routes.ts'
import { openContainers } from './containers/containers.ts'
import { connectCore } from './core-client/core.ts'
import type { Engine } from './engine/engine.ts'
import type { EngineSettings } from './engine/settings.ts'
import { EventLog } from './events/event-log.ts'
import { eventRoutes } from './events/routes.ts'
import { listenOnTcp } from './http/listen.ts'
import { pingRoutes } from './http/ping.ts'
import type { Routes } from './http/routes.ts'
import { createHttpServer } from './http/server.ts'
import { traceRoutes } from './http/traced-routes.ts'
import { dockerImages } from './images/docker-images.ts'
import { openImages } from './images/open-images.ts'
import { imageRoutes } from './images/routes.ts'
import { tagImage } from './images/tag.ts'
import { networkRoutes } from './networks/routes.ts'
import { RegistryHosts } from './registry/host-files.ts'
import { registryRoutes } from './registry/routes.ts'
import { readHostFacts } from './system/host-facts.ts'
import { metricsRoutes } from './system/metrics.ts'
import { notServedRoutes } from './system/not-served.ts'
import { systemRoutes } from './system/routes.ts'
import { swarmRoutes } from './system/swarm.ts'
import { openVolumes } from './volumes/open-volumes.ts'
import { volumeRoutes } from './volumes/routes.ts'

export interface RunningGateway {
  close(): Promise<void>
}

/** Listening on the settings' socket when it resolves. */
export async function openGateway(settings: EngineSettings, log: Logger): Promise<RunningGateway> {
  const core = connectCore(settings.coreAddress)
  const { registry_mirrors: mirrors, registry_upstreams: upstreams, insecure_registries: insecure } = settings.config
  const registries = await RegistryHosts.write(settings.state, { mirrors, upstreams, insecure })
  const events = new EventLog(settings.root, log)
  const engine = { core, settings, log, events } as unknown as { -readonly [K in keyof Engine]: Engine[K] }
  const containers = openContainers(engine)
  engine.containers = containers.store
  const images = openImages(engine, registries)
  engine.images = dockerImages(images)
  const volumeRoom = await openVolumes(engine)
  const { volumes, drivers } = volumeRoom
  engine.volumes = volumes
  await containers.open()
  const system = {
    engine,
    events,
    catalog: images.catalog,
    host: readHostFacts(),
    volumeDrivers: () => drivers.names(),
  }
  const routes: readonly Routes[] = [
    pingRoutes,
    imageRoutes(images),
    registryRoutes(registries),
    eventRoutes(events),
    volumeRoutes(volumes, drivers),
    networkRoutes,
    buildRoutes((image, name) => tagImage(images, image, name, ''), registries.folders()),
    ...allContainerRoutes(containers),
    systemRoutes(system, { engine, images, volumes }),
    swarmRoutes,
    notServedRoutes,
    metricsRoutes(system),
  ]
  const app = createHttpServer({ apiVersion: settings.apiVersion, version: settings.version, log })
  traceRoutes(app, core.channel, log)
  for (const add of routes) add(app, engine)
  await rm(settings.socket, { force: true })
  await app.listen({ path: settings.socket })
  await admit(settings)
  const tcp = await openTcp(app, settings)
  return {
    async close() {
      tcp?.close()
      tcp?.closeAllConnections()
      await app.close()
      containers.close()
      core.close()
      events.close()
      await volumeRoom.close()
    },
  }
}

async function openTcp(app: FastifyInstance, { config }: EngineSettings): Promise<Server | undefined> {
  const { tcp_address: address, tls_ca: ca, tls_certificate: certificate, tls_key: key } = config
  return address === '' ? undefined : listenOnTcp(app, address, { ca, certificate, key })
}

/** Whoever may use the socket is as good as root: root alone, or the group. */
async function admit({ socket, groupId }: EngineSettings): Promise<void> {
  await chmod(socket, groupId === undefined ? 0o600 : 0o660)
  if (groupId !== undefined) await chown(socket, 0, groupId)
}
