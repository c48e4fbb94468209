/** `networks capture`: what a container sends and receives, as pcap. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { failedPrecondition, unavailable } from '#api/errors/errors.ts'
import { ContainersServiceDefinition } from '#api/gen/gantry/services/containers/v1/containers.ts'
import { Exit } from '../exit.ts'
import type { Session } from '../session.ts'

interface CaptureFlags {
  write?: string
  interface?: string
  count?: string
}

/** Runs tcpdump(8) of this host inside the container's network namespace until it is interrupted; needs root here. */
export async function capture(session: Session, flags: CaptureFlags, id: string, filter: string[]): Promise<void> {
  const { attachments } = await session.client(ContainersServiceDefinition).inspect({ id })
  const attachment = attachments.find(
    ({ interfaceName, netnsPath }) => netnsPath !== '' && (flags.interface ?? interfaceName) === interfaceName,
  )
  if (attachment === undefined)
    throw failedPrecondition(
      `container "${id}" has no interface${flags.interface ? ` "${flags.interface}"` : ''} of its own: does it run?`,
    )
  const argv = [
    `--net=${attachment.netnsPath}`,
    'tcpdump',
    ...['-U', '-n', '-i', attachment.interfaceName, '-w', flags.write ?? '-'],
    ...(flags.count ? ['-c', flags.count] : []),
    ...filter,
  ]
  const child = spawn('nsenter', argv, { stdio: ['ignore', 'inherit', 'inherit'] })
  const forward = (signal: NodeJS.Signals) => child.kill(signal)
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, forward)
  const [code] = (await once(child, 'exit').catch(cause => {
    throw unavailable('nsenter does not start: install the package "util-linux"', { cause })
  })) as [number | null]
  if (code === 127) throw unavailable('tcpdump does not start: install the package "tcpdump"')
  if (code !== 0 && code !== null) throw new Exit(code)
}
