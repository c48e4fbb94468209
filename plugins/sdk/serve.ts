/**
 * Turns a plugin into a process. A plugin's whole `main.ts`:
 *
 *     await serve(overlayfs)
 *
 * It reads where to live (plugin-env.ts), locks its root so that two processes never share one, makes the plugin,
 * and listens with its services, the health check and gantry.plugin.v1. While another process still holds the root it
 * answers health checks already, with NOT_SERVING: so it can be started before the one it replaces has ended (a
 * manifest says so with `waits_for_root = true`). SIGTERM, SIGINT and the death of the gantryd
 * that started it end it: calls in flight get five seconds, then `close()`, then exit code 0. What goes wrong before
 * it serves is one line on stderr and exit code 1.
 */
import { existsSync } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { failedPrecondition, messageOf } from '#api/errors/errors.ts'
import { createLogger, type Logger } from '#api/log/log.ts'
import { createRpcServer, type RpcServer } from '#api/rpc/server.ts'
import { type FileLock, lockFile } from '#api/sys/sys.ts'
import type { PluginDefinition, PluginEnv, PluginIdentity, PluginInstance, ServedService } from './plugin.ts'
import { type ProcessSettings, readInvocation } from './plugin-env.ts'
import { healthService, pluginService } from './plugin-service.ts'

const drainMs = 5_000
/** How long a predecessor (of a gantryd that was killed) may take to let go of the root. */
const lockWaitMs = 8_000

/** Serves until told to stop; the process exits then, so this never resolves. */
export async function serve<Config>(definition: PluginDefinition<Config>): Promise<void> {
  try {
    const invocation = readInvocation(definition, process.argv.slice(2), process.env)
    if ('print' in invocation) process.stdout.write(`${invocation.print}\n`)
    else await run(definition, invocation.settings)
  } catch (error) {
    process.stderr.write(`gantry-${definition.kind}-${definition.id}: ${messageOf(error)}\n`)
    process.exit(1)
  }
}

async function run<Config>(definition: PluginDefinition<Config>, settings: ProcessSettings): Promise<void> {
  const log = createLogger({ name: `${definition.kind}/${definition.id}`, level: settings.logLevel })
  const draining = new AbortController()
  const stopped = stopRequest(settings)
  let serving = false
  // Before it serves nothing is in flight, and a wait for the root's lock must not outlive the parent.
  void stopped.then(() => serving || process.exit(0))

  const config = definition.parseConfig(settings.rawConfig)
  const front = new Front(definition, log, draining.signal, settings.address)
  const lock = await prepareDirectories(settings, () => front.openEarly())
  const env: PluginEnv<Config> = { ...identity(definition, settings), config, log, draining: draining.signal }
  const instance = await definition.create(env)
  const server = await front.serve(instance)
  serving = true
  log.info({ address: settings.address, root: settings.root, version: definition.version }, 'serving')

  const reason = await stopped
  draining.abort(reason)
  log.info({ reason }, 'draining')
  await shutDown(server, instance, lock, log)
}

function identity({ kind, id }: PluginIdentity, { root, state, instance }: ProcessSettings) {
  return { kind, id, root, state, instance }
}

/** Resolves with the reason when the process shall end. A second signal ends it at once. */
function stopRequest({ watchStdin }: ProcessSettings): Promise<string> {
  const { promise, resolve } = Promise.withResolvers<string>()
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.once(signal, () => {
      resolve(signal)
      process.once(signal, () => process.exit(1))
    })
  }
  if (watchStdin) {
    process.stdin.on('error', () => resolve('parent gone')).once('end', () => resolve('parent gone'))
    process.stdin.resume()
  }
  return promise
}

/** The root's lock; `whenTaken` is called when it has to be waited for. */
async function prepareDirectories({ root, state }: ProcessSettings, whenTaken: () => Promise<void>): Promise<FileLock> {
  for (const directory of [root, state]) await mkdir(directory, { recursive: true, mode: 0o700 })
  const path = join(root, '.lock')
  for (const deadline = Date.now() + lockWaitMs; ; await sleep(20)) {
    const lock = await lockFile(path)
    if (lock) return lock
    await whenTaken()
    if (Date.now() > deadline)
      throw failedPrecondition(
        `root "${root}" is in use by another process (it holds ${path}): give each instance its own root`,
      )
  }
}

/** The socket: opened early only when there is something to wait for, else with everything on it. */
class Front {
  readonly #definition: PluginIdentity
  readonly #address: string
  readonly #draining: AbortSignal
  readonly #server: RpcServer
  readonly #known = new Set<string>()
  #open = false
  #serving = false

  constructor(definition: PluginIdentity, log: Logger, draining: AbortSignal, address: string) {
    this.#definition = definition
    this.#address = address
    this.#draining = draining
    this.#server = createRpcServer({ logger: log, tracing: { service: `${definition.kind}/${definition.id}` } })
  }

  /** Answers health checks while it waits; not where somebody is at that address, who may be the one it waits for. */
  async openEarly(): Promise<void> {
    if (!existsSync(this.#address)) await this.open()
  }

  /** Answers health checks, from now on. */
  async open(): Promise<void> {
    if (this.#open) return
    this.#open = true
    this.#add(healthService(this.#known, () => this.#serving && !this.#draining.aborted, this.#draining))
    await this.#server.listen(this.#address)
  }

  async serve(instance: PluginInstance): Promise<RpcServer> {
    for (const served of instance.services) this.#known.add(served.definition.fullName)
    for (const served of [...instance.services, pluginService(this.#definition, instance)]) this.#add(served)
    this.#serving = true
    await this.open()
    return this.#server
  }

  #add({ definition, implementation }: ServedService): void {
    this.#server.add(definition, implementation)
  }
}

/** Backwards: no new calls, the plugin's own end, and the root is free for a successor at the very last. */
async function shutDown(server: RpcServer, instance: PluginInstance, lock: FileLock, log: Logger): Promise<never> {
  await server.shutdown(drainMs)
  let code = 0
  try {
    await instance.close()
  } catch (error) {
    log.error({ err: error }, 'close failed')
    code = 1
  }
  lock.release()
  process.exit(code)
}
