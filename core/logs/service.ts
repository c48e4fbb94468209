/** gantry.services.logs.v1. */
import type { LogsServiceDefinition } from '#api/gen/gantry/services/logs/v1/logs.ts'
import type { ServiceImpl } from '#api/rpc/definition.ts'
import { validateIdentifier } from '#api/types/identifiers.ts'
import type { Logs } from './logs.ts'

export function logsService(logs: Logs): ServiceImpl<typeof LogsServiceDefinition> {
  return {
    async *follow({ follower, driversOnly }, { signal }) {
      validateIdentifier(follower, 'follower')
      for await (const source of logs.follow(follower, driversOnly, signal)) yield { source }
    },
    async done({ follower, file }) {
      await logs.done(follower, file)
      return {}
    },
  }
}
