/**
 * Health: grpc.health.v1, as load balancers and dockerd ask it. The empty service name stands for the daemon as a
 * whole. A daemon that shuts down says NOT_SERVING before it closes its socket.
 */

export interface Health {
  /** True while calls are served. */
  readonly serving: boolean
  /** Calls back with each change until `signal` fires. */
  onChange(listener: (serving: boolean) => void, signal: AbortSignal): void
}

export { DaemonHealth } from './daemon-health.ts'
export { healthService } from './service.ts'
