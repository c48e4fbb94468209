import type { VersionDefinition } from '#api/gen/containerd/services/version/v1/version.ts'
import type { ServiceImpl } from '#api/rpc/server.ts'
import type { DaemonVersion } from './version.ts'

/** containerd.services.version.v1.Version. Needs no namespace. */
export function versionService(version: DaemonVersion): ServiceImpl<typeof VersionDefinition> {
  return {
    async version() {
      return version
    },
  }
}
