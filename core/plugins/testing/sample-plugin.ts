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
 */
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
if (!behaviour.silent) await serve()

function listenAsGateway(): void {
  const { GANTRY_CORE_ADDRESS: core = '', GANTRY_GATEWAY_SOCKET: socket = '' } = process.env
  rmSync(socket, { force: true })
  createServer(connection => connection.end(core)).listen(socket)
}

async function serve(): Promise<void> {
  const server = createRpcServer({ logger: createLogger({ name: id, level: 'silent' }) })
  const status = behaviour.unhealthy ? Status.NOT_SERVING : Status.SERVING
  if (!behaviour.bare) {
    server.add(HealthDefinition, { check: async () => ({ status }) })
    server.add(PluginServiceDefinition, {
      getInfo: async () => ({ id: behaviour.sayId ?? id, kind, version: '9.9.9', capabilities: ['sampled'] }),
    })
  }
  if (behaviour.network) server.add(NetworkPluginServiceDefinition, paperNetworks)
  await server.listen(address)
}
