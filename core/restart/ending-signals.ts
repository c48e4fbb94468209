/** Which signals say that somebody wants a container to end, rather than to reload or to tell something. */
import { constants } from 'node:os'
import type { Container } from '#core/containers/containers.ts'
import { launchConfigOf } from '#core/launch/launch.ts'

const always: readonly number[] = ['SIGINT', 'SIGQUIT', 'SIGKILL', 'SIGTERM'].map(name => numberOf(name) ?? 0)

/** True for the signals that end a process by custom, and for the one that the container, or its image, wants to be ended by. */
export function meansTheEnd(signal: number, container: Pick<Container, 'extensions' | 'labels'>): boolean {
  const own = launchConfigOf(container)?.stopSignal || container.labels['io.containerd.image.config.stop-signal']
  return always.includes(signal) || (own !== undefined && numberOf(own) === signal)
}

/** `SIGTERM`, `TERM`, `15`, `SIGRTMIN+3`, as in signal(7); undefined for what is none. */
export function numberOf(signal: string): number | undefined {
  if (/^\d+$/.test(signal)) return Number(signal)
  const name = signal.toUpperCase().replace(/^(?!SIG)/, 'SIG')
  const offset = /^SIGRTMIN(?:\+(\d+))?$/.exec(name)
  // What glibc leaves of the 32 that the kernel begins with.
  if (offset) return 34 + Number(offset[1] ?? 0)
  return constants.signals[name as keyof typeof constants.signals]
}
