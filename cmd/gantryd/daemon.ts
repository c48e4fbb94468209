/** gantryd's life: what it takes hold of at its start, it lets go of in reverse order at its end. */
import { readFileSync } from 'node:fs'
import { chmod, chown, mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { failedPrecondition, messageOf } from '#api/errors/errors.ts'
import { EventsDefinition } from '#api/gen/containerd/services/events/ttrpc/v1/events.ts'
import { createLogger, type Logger } from '#api/log/log.ts'
import { createRpcServer, type ServerTracing } from '#api/rpc/server.ts'
import { createTtrpcServer, type TtrpcServer } from '#api/rpc/ttrpc.ts'
import { openStore } from '#api/store/store.ts'
import { lockFile } from '#api/sys/sys.ts'
import { ttrpcEventsService } from '#core/events/events.ts'
import { DaemonHealth } from '#core/health/health.ts'
import { readHostFacts } from '#core/spec/spec.ts'
import { compose, type Parts, tokens } from './compose.ts'
import type { Config } from './config.ts'
import { instanceOf } from './instance.ts'
import { serveMetrics } from './metrics-server.ts'
import { addServices } from './services.ts'

/** Calls in flight at SIGTERM may take so long to end; plugins stop after them. */
const graceMs = 2000

/** Runs until SIGTERM or SIGINT; a second one ends it at once. Containers go on. */
export async function runDaemon(config: Config): Promise<void> {
  const logger = createLogger({ name: 'gantryd', level: config.log_level, pretty: process.stderr.isTTY })
  await using lifetimes = new AsyncDisposableStack()
  const stop = waitForSignal(logger)
  await startDaemon(config, logger, lifetimes)
  await stop
  logger.info({}, 'stopping; containers go on')
}

function waitForSignal(logger: Logger): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>()
  let count = 0
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.on(signal, () => {
      if (++count > 1) process.exit(1)
      logger.info({ signal }, 'asked to stop')
      resolve()
    })
  }
  return promise
}

/** Serving when it resolves. FAILED_PRECONDITION: another gantryd has the root or the state. */
async function startDaemon(config: Config, logger: Logger, lifetimes: AsyncDisposableStack): Promise<void> {
  const address = config.address || join(config.state, 'gantryd.sock')
  const group = groupId(config.group)
  await makeFolders(config, group)
  for (const folder of [config.root, config.state]) lifetimes.use(await lock(folder))
  const host = await readHostFacts()
  const store = openStore(join(config.root, 'metadata'))
  lifetimes.defer(() => store.close())
  const instance = instanceOf(config)
  const parts = await compose({ config, instance, address, groupId: group, store, host, logger })
  holdParts(parts, lifetimes)
  await parts.resolve(tokens.pluginAdministration).open()
  const logs = lifetimes.use(parts.resolve(tokens.logs))
  await logs.open()
  const tracing = tracingOf(config, parts)
  const local = await startTasks(parts, address, { logger, tracing }, lifetimes)
  const health = new DaemonHealth()
  const server = createRpcServer({ logger, tracing })
  addServices([server, local], parts, health)
  await server.listen(address, { mode: 0o600 })
  lifetimes.defer(() => server.shutdown(graceMs))
  lifetimes.defer(() => {
    health.serving = false
  })
  await admitGroup(address, group)
  if (config.metrics.address !== '') lifetimes.use(await metricsAt(config.metrics.address, parts))
  await logs.start()
  lifetimes.use(parts.resolve(tokens.plugins).startGateways())
  logger.info(
    { address, root: config.root, state: config.state, instance: instance.id },
    `gantryd listens on ${address}`,
  )
}

/**
 * Folders are root's. Whoever knows a name may pass the state's: members of the group to the socket, and the root of a
 * user namespace to its bundle. What is in it has modes of its own.
 */
async function makeFolders({ root, state }: Config, group: number | undefined): Promise<void> {
  await mkdir(root, { recursive: true, mode: 0o700 })
  await mkdir(state, { recursive: true, mode: 0o711 })
  if (group !== undefined) await chown(state, 0, group)
  await Promise.all(['a', 's', 'tmp'].map(name => mkdir(join(state, name), { recursive: true, mode: 0o700 })))
}

async function lock(folder: string): Promise<Disposable> {
  const held = await lockFile(join(folder, 'gantryd.lock'))
  if (held) return held
  throw failedPrecondition(`another gantryd works in ${folder}: give this one a --root and --state of its own`)
}

/** Lifetimes in the order of dependence: what is used is let go of after its users. */
function holdParts(parts: Parts, lifetimes: AsyncDisposableStack): void {
  lifetimes.use(parts.resolve(tokens.spanExporter))
  lifetimes.use(parts.resolve(tokens.remotes))
  lifetimes.defer(() => parts.resolve(tokens.plugins).stop())
  lifetimes.use(parts.resolve(tokens.pluginAdministration))
  lifetimes.defer(() => parts.resolve(tokens.gc).stop())
  lifetimes.defer(() => parts.resolve(tokens.sandboxShims).close())
  lifetimes.defer(() => parts.resolve(tokens.tasks).close(graceMs))
}

/** Events of running shims are taken in before their tasks are taken over, so that no exit falls between. */
async function startTasks(
  parts: Parts,
  address: string,
  { logger, tracing }: { logger: Logger; tracing: ServerTracing },
  lifetimes: AsyncDisposableStack,
): Promise<TtrpcServer> {
  const events = createTtrpcServer({ logger, tracing })
  events.add(EventsDefinition, ttrpcEventsService(parts.resolve(tokens.exchange)))
  const tasks = parts.resolve(tokens.tasks)
  await events.listen(`${address}.ttrpc`)
  lifetimes.defer(() => events.close())
  const restarts = lifetimes.use(parts.resolve(tokens.restarts))
  await tasks.adopt()
  restarts.resume().catch(error => logger.error({ err: error }, 'containers that should run were not all started'))
  parts.resolve(tokens.gc).start()
  return events
}

/** Calls that bring a trace context are traced always; of the others a share. */
function tracingOf({ tracing }: Config, parts: Parts): ServerTracing {
  const share = tracing.sample_ratio
  const sink = parts.resolve(tokens.traces)
  return { service: 'gantryd', sink, ...(share > 0 && { sample: () => Math.random() < share }) }
}

/** Loaded when somebody wants them: the library is not small. */
async function metricsAt(address: string, parts: Parts): Promise<AsyncDisposable> {
  const { pluginMetrics } = await import('#core/plugins/metrics.ts')
  const plugins = parts.resolve(tokens.plugins)
  const registry = pluginMetrics(() => plugins.list(), plugins.journal)
  return await serveMetrics(address, registry)
}

async function admitGroup(address: string, group: number | undefined): Promise<void> {
  if (group === undefined) return
  await chown(address, 0, group)
  await chmod(address, 0o660)
}

/** Members get the API, which is as good as being root; without such a group it is root's alone. */
function groupId(name: string): number | undefined {
  try {
    const line = readFileSync('/etc/group', 'utf8')
      .split('\n')
      .find(entry => entry.startsWith(`${name}:`))
    return line === undefined ? undefined : Number(line.split(':')[2])
  } catch (cause) {
    throw failedPrecondition(`/etc/group: ${messageOf(cause)}`, { cause })
  }
}
