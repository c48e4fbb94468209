/** A launched container's health check: what was wished for, checked and complete, as its shim takes it. */
import { invalidArgument } from '#api/errors/errors.ts'
import type { ContainerConfig } from '#api/gen/gantry/services/containers/v1/containers.ts'

/** `health-check.json` of a bundle, which Gantry's shim reads when it has started the container. */
export interface ShimHealthCheck {
  /** Where the shim tells of each probe. */
  socket: string
  ask: { process: object } | { tcp: { port: number } } | { http: { port: number; host: string; path: string } }
  intervalMs: number
  timeoutMs: number
  startPeriodMs: number
  startIntervalMs: number
  retries: number
}

/** Docker's. */
const defaults = { intervalMs: 30_000, timeoutMs: 30_000, startIntervalMs: 5000, retries: 3 }

/**
 * Undefined: the container has none. `process` is its first one, complete with user and environment. INVALID_ARGUMENT: both
 * or neither of a command and an address, or an address of another form.
 */
export function shimHealthCheck(
  { healthCheck: wish }: Pick<ContainerConfig, 'healthCheck'>,
  process: object,
  socket: string,
): ShimHealthCheck | undefined {
  if (!wish) return undefined
  const { command, address } = wish
  if ((command.length === 0) === (address === ''))
    throw invalidArgument('health_check: give either a command or an address')
  return {
    socket,
    ask: address === '' ? { process: { ...process, args: command, terminal: false } } : parseAddress(address),
    intervalMs: Number(wish.intervalMs) || defaults.intervalMs,
    timeoutMs: Number(wish.timeoutMs) || defaults.timeoutMs,
    startPeriodMs: Number(wish.startPeriodMs),
    startIntervalMs: Number(wish.startIntervalMs) || defaults.startIntervalMs,
    retries: wish.retries || defaults.retries,
  }
}

/** `tcp://:PORT`, `http://:PORT/PATH`; the host may be `localhost`: it is always the container itself. */
function parseAddress(text: string): ShimHealthCheck['ask'] {
  const [, kind, port = '', path = '/'] = /^(tcp|http):\/\/(?:localhost)?(?::(\d{1,5}))?(\/[!-~]*)?$/.exec(text) ?? []
  const number = Number(port || (kind === 'http' ? 80 : 0))
  if (number < 1 || number > 65_535 || (kind !== 'tcp' && kind !== 'http'))
    throw invalidArgument(`health_check.address "${text}": use tcp://:PORT or http://:PORT/PATH`)
  if (kind === 'tcp') return { tcp: { port: number } }
  return { http: { port: number, host: port === '' ? 'localhost' : `localhost:${port}`, path } }
}
