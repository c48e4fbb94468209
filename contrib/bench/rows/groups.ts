/** All groups, in the order of the report. */
import type { Group } from '../row.ts'
import { builds } from './builds.ts'
import { bundle } from './bundle.ts'
import { ctr } from './ctr.ts'
import { events } from './events.ts'
import { exec } from './exec.ts'
import { idle } from './idle.ts'
import { images } from './images.ts'
import { logs } from './logs.ts'
import { many } from './many.ts'
import { podman } from './podman.ts'
import { ports } from './ports.ts'
import { start } from './start.ts'
import { thousand } from './thousand.ts'

export const groups: readonly Group[] = [
  start,
  ctr,
  podman,
  bundle,
  exec,
  many,
  thousand,
  idle,
  images,
  builds,
  logs,
  ports,
  events,
]
