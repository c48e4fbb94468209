/** The endpoints about the engine itself. */
import type { App } from '../http/routes.ts'
import { type DiskUsageRoom, describeDiskUsage } from './disk-usage.ts'
import { describeEngine, describeVersion, type SystemRoom } from './info.ts'

export function systemRoutes(system: SystemRoom, disk: DiskUsageRoom): (app: App) => void {
  return app => {
    app.get('/info', () => describeEngine(system))
    app.get('/version', () => describeVersion(system))
    app.get('/system/df', request => describeDiskUsage(disk, app, request))
  }
}
