/** `GET /metrics` for Prometheus: what Docker's engine tells, and how the API is used. */
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client'
import type { App } from '../http/routes.ts'
import { logDropsOf } from '../logs/log-drops.ts'
import type { SystemRoom } from './info.ts'

const states = ['running', 'paused', 'stopped'] as const

export function metricsRoutes(room: SystemRoom): (app: App) => void {
  return app => {
    const registry = new Registry()
    countRequests(app, registry)
    tellEngine(room, registry)
    let watchesItself = false
    app.get('/metrics', async (_request, reply) => {
      if (!watchesItself) watchItself(registry)
      watchesItself = true
      const text = await registry.metrics()
      return reply.header('Content-Type', registry.contentType).send(text)
    })
  }
}

/**
 * Figures of the process, from the first question on: the delay of the event loop is measured by a timer, which by default
 * wakes an idle gateway a hundred times a second.
 */
function watchItself(register: Registry): void {
  collectDefaultMetrics({ register, eventLoopMonitoringPrecision: 1000 })
}

/** By route, not by path: names of containers must not become series. */
function countRequests(app: App, registry: Registry): void {
  const labelNames = ['method', 'route'] as const
  const registers = [registry]
  const errors = new Counter({
    name: 'engine_daemon_http_errors_total',
    help: 'Requests that failed for a reason of our own (500).',
    labelNames,
    registers,
  })
  const seconds = new Histogram({
    name: 'engine_daemon_http_request_seconds',
    help: 'Seconds until the end of an answer; streams are as long as their clients stay.',
    labelNames,
    buckets: [0.001, 0.005, 0.02, 0.1, 0.5, 2, 10],
    registers,
  })
  app.addHook('onResponse', async (request, reply) => {
    const labels = { method: request.method, route: request.routeOptions.url ?? 'none' }
    seconds.observe(labels, reply.elapsedTime / 1000)
    if (reply.statusCode === 500) errors.inc(labels)
  })
}

function tellEngine({ engine, events, host }: SystemRoom, registry: Registry): void {
  const registers = [registry]
  const containers = new Gauge({
    name: 'engine_daemon_container_states_containers',
    help: 'Containers in a state.',
    labelNames: ['state'],
    registers,
    async collect() {
      const all = await engine.containers.list()
      const inState = (wanted: readonly string[]) => all.filter(({ state }) => wanted.includes(state)).length
      const counts = { running: inState(['running', 'restarting']), paused: inState(['paused']), stopped: 0 }
      counts.stopped = all.length - counts.running - counts.paused
      for (const state of states) containers.set({ state }, counts[state])
    },
  })
  const dropped = new Gauge({
    name: 'engine_daemon_container_log_dropped_lines',
    help: 'Log lines that mode=non-blocking has dropped, of the containers that are there.',
    registers,
    async collect() {
      const { containers: all } = await engine.core.containers.list({})
      const drops = await Promise.all(all.map(({ paths }) => logDropsOf(paths?.logFile ?? '')))
      dropped.set(drops.reduce((sum, drop) => sum + (drop?.Lines ?? 0), 0))
    },
  })
  const listeners: Gauge = new Gauge({
    name: 'engine_daemon_events_subscribers_total',
    help: 'Clients that follow events.',
    registers,
    collect: () => void listeners.set(events.listenerCount),
  })
  const facts = { name: 'engine_daemon_engine_info', help: 'The engine and its host.', registers }
  const labels = { version: engine.settings.version, os: host.system, kernel: host.kernel, architecture: host.machine }
  new Gauge({ ...facts, labelNames: Object.keys(labels) }).set(labels, 1)
}
