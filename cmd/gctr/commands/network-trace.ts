/** `networks trace`: what becomes of a container's packet. */
import { isIP } from 'node:net'
import { invalidArgument } from '#api/errors/errors.ts'
import { NetworksServiceDefinition } from '#api/gen/gantry/services/networks/v1/networks.ts'
import { printJson } from '../output/json.ts'
import { printLines } from '../output/table.ts'
import type { Session } from '../session.ts'

export async function trace(session: Session, _flags: unknown, containerId: string, text: string): Promise<void> {
  const target = targetOf(text)
  const answer = await session.client(NetworksServiceDefinition).trace({ containerId, ...target })
  if (session.json) return printJson(answer)
  printLines([...answer.steps.map(({ kind, place, text: said }) => `${kind} [${place}] ${said}`), answer.outcome])
}

/** `192.0.2.7:443`, `[fd00::7]:53/udp`. */
function targetOf(text: string): { destination: string; protocol: string; port: number } {
  const [, six, four, port = '', protocol = 'tcp'] = /^(?:\[(.+)\]|([^:]+)):(\d+)(?:\/(tcp|udp))?$/.exec(text) ?? []
  const destination = six ?? four ?? ''
  if (isIP(destination) === 0)
    throw invalidArgument(
      `"${text}" is not of the form address:port[/tcp|udp], such as 192.0.2.7:443 or [fd00::7]:53/udp`,
    )
  return { destination, protocol, port: Number(port) }
}
