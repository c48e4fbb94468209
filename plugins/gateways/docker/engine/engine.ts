/**
 * What the nouns are given, and what they give each other. No noun imports another one's folder: what two of them need
 * of each other is an interface here, filled in by `gateway.ts`.
 *
 * The gateway keeps no truth of its own. Whatever a member answers comes from the core (or from a file that the core or a
 * shim wrote); what is kept in memory is a copy that events keep fresh, or a connection.
 */
import type { Logger } from '#api/log/log.ts'
import type { Core } from '../core-client/core.ts'
import type { EngineContainers } from './containers.ts'
import type { EngineEvents } from './events.ts'
import type { EngineImages } from './images.ts'
import type { EngineSettings } from './settings.ts'
import type { EngineVolumes } from './volumes.ts'

export interface Engine {
  readonly core: Core
  readonly settings: EngineSettings
  readonly log: Logger
  readonly events: EngineEvents
  readonly containers: EngineContainers
  readonly images: EngineImages
  readonly volumes: EngineVolumes
}
