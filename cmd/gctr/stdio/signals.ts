/** Signals sent to an attached command go to the container instead. */
import { TasksDefinition } from '#api/gen/containerd/services/tasks/v1/tasks.ts'
import type { Session } from '../session.ts'
import { signalNumber } from '../signal-names.ts'

const forwarded = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT', 'SIGUSR1', 'SIGUSR2'] as const

/** Until disposed. With a terminal the keys travel as bytes, so `wanted` is false then. */
export function forwardSignals(session: Session, containerId: string, wanted: boolean): Disposable {
  const stack = new DisposableStack()
  if (!wanted) return stack
  for (const name of forwarded) {
    const send = () =>
      void session
        .client(TasksDefinition)
        .kill({ containerId, signal: signalNumber(name) })
        .catch(() => {})
    process.on(name, send)
    stack.defer(() => void process.off(name, send))
  }
  return stack
}
