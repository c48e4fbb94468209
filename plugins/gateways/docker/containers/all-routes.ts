/** Everything below `/containers` and `/exec`. */
import { commitRoutes } from '../archive/commit.ts'
import { archiveRoutes } from '../archive/routes.ts'
import { execRoutes } from '../exec/routes.ts'
import type { Routes } from '../http/routes.ts'
import { logRoutes } from '../logs/routes.ts'
import { statsRoutes } from '../stats/routes.ts'
import { attachRoutes } from './attach.ts'
import { checkpointRoutes } from './checkpoints.ts'
import type { ContainerParts } from './containers.ts'
import { containerRoutes } from './routes.ts'

export function allContainerRoutes(parts: ContainerParts): Routes[] {
  const lifeRoutes = [containerRoutes, checkpointRoutes, attachRoutes, execRoutes]
  return [...lifeRoutes, archiveRoutes, commitRoutes, logRoutes, statsRoutes].map(routes => routes(parts))
}
