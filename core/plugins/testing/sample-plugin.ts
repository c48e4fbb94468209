/**
 * A plugin process written against the contracts alone, without the SDK: proves what the supervisor really needs, and
 * behaves badly on request. Its configuration table says how:
 *
 * - `sayId`: the id it claims; `silent`: listens to nothing; `unhealthy`: health says NOT_SERVING; `bare`: no service at all
 * - `deaf`: ignores SIGTERM and the end of stdin
 * - `journal`: file to which it appends `<id> start` and `<id> end`
 * - `network`: serves as a network plugin whose networks are nothing but their records
 * - `asGateway`: listens on GANTRY_GATEWAY_SOCKET too, answering each connection with GANTRY_CORE_ADDRESS
 * - `print`: lines to write to stdout at its start
 * - `flood`: writes to stderr for ever, as fast as it can, lines of all lengths
 * - `children`: so many processes it starts, in sessions of their own, that never end by themselves
 * - `huge`: the version it claims is so many bytes long
 */
import { spawn } from 'node:child_process'
import { appendFileSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { NetworkPluginServiceDefinition } from '#api/gen/gantry/network/v1/network.ts'
import { PluginServiceDefinition } from '#api/gen/gantry/plugin/v1/plugin.ts'
import { HealthDefinition, HealthCheckResponse_ServingStatus as Status } from '#api/gen/grpc/health/v1/health.ts'
import { createLogger } from '#api/log/log.ts'
import type { ServiceImpl } from '#api/rpc/definition.ts'
import { createRpcServer } from '#api/rpc/server.ts'

interface Behaviour {
  sayId?: string
  silent?: boolean
  unhealthy?: boolean
  bare?: boolean
  deaf?: boolean
  journal?: string
  print?: string[]
  asGateway?: boolean
  network?: boolean
  flood?: boolean
  children?: number
  huge?: number
}

const { GANTRY_PLUGIN_ID: id = '', GANTRY_PLUGIN_KIND: kind = '', GANTRY_PLUGIN_ADDRESS: address = '' } = process.env
const behaviour: Behaviour = JSON.parse(process.env.GANTRY_PLUGIN_CONFIG ?? '{}')
const note = (what: string) => behaviour.journal && appendFileSync(behaviour.journal, `${id} ${what}\n`)

const paperNetworks: ServiceImpl<typeof NetworkPluginServiceDefinition> = {
  status: async () => ({}),
  createNetwork: async ({ network }) => ({ network }),
  removeNetwork: async () => ({}),
  listNetworks: async () => ({ networks: [] }),
  gc: async () => ({ removed: [] }),
}

const end = () => {
  if (behaviour.deaf) return
  note('end')
  process.exit(0)
}
process.on('SIGTERM', end)
process.stdin.once('end', end).resume()
setInterval(() => {}, 60_000)

note('start')
for (const line of behaviour.print ?? []) process.stdout.write(`${line}\n`)
if (behaviour.asGateway) listenAsGateway()
if (behaviour.flood) flood()
for (let child = 0; child < (behaviour.children ?? 0); child++)
  spawn('/bin/sh', ['-c', 'trap "" TERM HUP; exec sleep 1000000'], {
    detached: true,
    stdio: 'ignore',
  }).unref()
if (!behaviour.silent) await serve()

function listenAsGateway(): void {
  const { GANTRY_CORE_ADDRESS: core = '', GANTRY_GATEWAY_SOCKET: socket = '' } = process.env
  rmSync(socket, { force: true })
  createServer(connection => connection.end(core)).listen(socket)
}

/** Never more than the pipe takes: what this process cannot write it does not keep. */
function flood(): void {
  const text = `${'short\n'.repeat(2_000)}${'x'.repeat(200_000)}\n`
  const write = () => process.stderr.write(text, () => setImmediate(write))
  write()
}

async function serve(): Promise<void> {
  const server = createRpcServer({ logger: createLogger({ name: id, level: 'silent' }) })
  const status = behaviour.unhealthy ? Status.NOT_SERVING : Status.SERVING
  if (!behaviour.bare) {
    server.add(HealthDefinition, { check: async () => ({ status }) })
    server.add(PluginServiceDefinition, {
      getInfo: async () => ({
        id: behaviour.sayId ?? id,
        kind,
        version: behaviour.huge ? '9'.repeat(behaviour.huge) : '9.9.9',
        capabilities: ['sampled'],
      }),
    })
  }
  if (behaviour.network) server.add(NetworkPluginServiceDefinition, paperNetworks)
  await server.listen(address)
}
