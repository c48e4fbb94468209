/** What a build is asked for, and what it works with. */
import type { KeyedLock } from '#api/concurrency/keyed-lock.ts'
import type { BuildOptions } from '#api/gen/gantry/services/builder/v1/builder.ts'
import type { Platform } from '#api/types/platform.ts'
import type { CacheTrail } from '../cache/foreign/cache-trail.ts'
import type { ForeignCache } from '../cache/foreign/foreign-cache.ts'
import type { StepCache } from '../cache/step-cache.ts'
import type { NamedContexts } from '../contexts/named-contexts.ts'
import type { Core } from '../core/clients.ts'
import type { Layers } from '../core/layers.ts'
import type { Registries } from '../core/registries.ts'
import type { Ignore } from '../files/ignore.ts'
import type { SourceTree } from '../files/source-tree.ts'
import type { Dockerfile } from '../language/dockerfile.ts'
import type { BuildEvents } from './build-events.ts'
import type { Materials } from './materials.ts'

export interface Build {
  readonly core: Core
  readonly cache: StepCache
  /** Steps that are being done now, by key, of all builds. */
  readonly inProgress: KeyedLock
  readonly layers: Layers
  readonly registries: Registries
  /** Of other builders, in the order in which they are asked. */
  readonly foreignCaches: readonly ForeignCache[]
  /** What this build went through, for other builders. */
  readonly trail: CacheTrail
  readonly events: BuildEvents
  readonly materials: Materials
  readonly options: BuildOptions
  readonly dockerfile: Dockerfile
  readonly context: SourceTree
  /** What the context leaves out; undefined: nothing. */
  readonly ignore: Ignore | undefined
  readonly contexts: NamedContexts
  readonly platform: Platform
  /** The build is for other platforms as well. */
  readonly isOneOfSeveral: boolean
  readonly snapshotter: string
  readonly lease: string
  /** Durable folder of RUN's caches. */
  readonly caches: string
  /** Private folder that goes with the build. */
  readonly state: string
  readonly signal: AbortSignal
  /** Build argument SOURCE_DATE_EPOCH: nothing in the image is younger, and it is all that is told of the time. */
  readonly epoch: Date | undefined
}
