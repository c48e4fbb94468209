/** `version`: the client's and the server's. */
import { VersionDefinition } from '#api/gen/containerd/services/version/v1/version.ts'
import { clientVersion } from '../client-version.ts'
import { printJson } from '../output/json.ts'
import type { Session } from '../session.ts'

export async function version(session: Session): Promise<void> {
  const server = await session.client(VersionDefinition).version({})
  if (session.json) return printJson({ client: { version: clientVersion }, server })
  const revision = server.revision === '' ? '' : `  Revision: ${server.revision}\n`
  console.log(
    `Client:\n  Version:  ${clientVersion}\n\nServer:\n  Version:  ${server.version}\n${revision}  Address:  ${session.options.address}`,
  )
}
