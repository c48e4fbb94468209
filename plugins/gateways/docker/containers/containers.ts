/** All that serves containers, wired: what the routes and the other nouns are given. */
import type { Logger } from '#api/log/log.ts'
import { CoreEvents } from '../core-client/core-events.ts'
import type { Engine } from '../engine/engine.ts'
import { Execs } from '../exec/execs.ts'
import { HealthMonitor } from '../health/health-monitor.ts'
import { ProbeEvents } from '../health/probe-events.ts'
import { AttachHub } from './attach-hub.ts'
import { ImageFiller, type VolumeFiller } from './create/volume-filler.ts'
import { EventTeller } from './event-teller.ts'
import { KnownContainers } from './known-containers.ts'
import { Lifecycle } from './lifecycle.ts'
import { NewContainers } from './new-containers.ts'
import { PlacedMounts } from './placed-mounts.ts'
import { ContainerStore } from './store.ts'
import { VolumeMounts } from './volume-mounts.ts'
import { Waiting } from './waiting.ts'

export interface ContainerParts {
  engine: Engine
  store: ContainerStore
  /** What was made here, for those who begin with it. */
  newContainers: NewContainers
  known: KnownContainers
  hub: AttachHub
  events: CoreEvents
  waiting: Waiting
  lifecycle: Lifecycle
  filler: VolumeFiller
  execs: Execs
  health: HealthMonitor
  log: Logger
  /** When all of the engine is there. */
  open(): Promise<void>
  close(): void
}

/** `engine` may still be incomplete: its members are used by calls alone. */
export function openContainers(engine: Engine): ContainerParts {
  const { core, log } = engine
  const newContainers = new NewContainers()
  const store = new ContainerStore(core, newContainers)
  const events = new CoreEvents(core, log)
  newContainers.follow(events)
  const known = new KnownContainers(store, events)
  const hub = new AttachHub()
  const volumes = new VolumeMounts({ engine, store, placed: new PlacedMounts(engine) })
  const lifecycle = new Lifecycle({ engine, store, hub, volumes })
  const teller = new EventTeller({ engine, store, known, volumes })
  events.listen(event => {
    // Started by somebody else, such as a restart policy: clients that wait to attach are joined all the same.
    if (event.kind === 'task-create') void hub.created(event.containerId)
    teller.take(event)
  })
  const health = new HealthMonitor({ engine, store, known, events })
  const probes = new ProbeEvents({ engine, store, events })
  return {
    ...{ health, engine, store, newContainers, known, hub, events, lifecycle, log },
    waiting: new Waiting(store, events),
    filler: new ImageFiller(engine),
    execs: new Execs({ engine, store, known, events }),
    open: () => volumes.open(),
    close() {
      health[Symbol.dispose]()
      probes[Symbol.dispose]()
      events.close()
    },
  }
}
