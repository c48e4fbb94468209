/** CNI's verbs as calls of a running bridge plugin. */
import { createHash } from 'node:crypto'
import { invalidArgument } from '#api/errors/errors.ts'
import { AddRequest, Network, NetworkPluginServiceDefinition, type Result } from '#api/gen/gantry/network/v1/network.ts'
import { type Client, connect, createClient } from '#api/rpc/client.ts'
import { type CniCall, supportedVersions } from './call.ts'

const deadlineMs = 30_000

type Bridge = Client<typeof NetworkPluginServiceDefinition>

/** Answers what the verb prints; undefined: nothing. Errors are the plugin's own. */
export async function perform(call: CniCall): Promise<object | undefined> {
  if (call.verb === 'VERSION') return { cniVersion: '1.1.0', supportedVersions }
  if (!(supportedVersions as readonly string[]).includes(call.config.cniVersion))
    throw invalidArgument(`cniVersion "${call.config.cniVersion}" is not one of ${supportedVersions.join(', ')}`)
  const verb = verbs[call.verb]
  if (verb === undefined)
    throw invalidArgument(`CNI_COMMAND "${call.verb}" is not one of ${Object.keys(verbs).join(', ')}`)
  const channel = connect(`unix:${call.config.address}`, { deadlineMs })
  try {
    return await verb(createClient(NetworkPluginServiceDefinition, channel), call)
  } finally {
    channel.close()
  }
}

const verbs: Readonly<Record<string, (bridge: Bridge, call: CniCall) => Promise<object | undefined>>> = {
  async ADD(bridge, call) {
    await bridge.createNetwork({ network: networkOf(call) })
    const { result } = await bridge.add(addRequest(call))
    return printed(call, result)
  },
  async DEL(bridge, call) {
    await bridge.del({ ...attachmentOf(call), netnsPath: call.netns })
    return undefined
  },
  async CHECK(bridge, call) {
    await bridge.check({ ...attachmentOf(call), netnsPath: call.netns, previous: undefined })
    return undefined
  },
  async GC(bridge, { config }) {
    const validAttachments = config['cni.dev/valid-attachments'].map(({ containerID, ifname }) => {
      return { containerId: containerID, interfaceName: ifname }
    })
    await bridge.gc({ networkId: idOf(config.name), validAttachments })
    return undefined
  },
  async STATUS(bridge) {
    await bridge.status({})
    return undefined
  },
}

/** The same list is the same network, whoever calls. */
function idOf(name: string): string {
  return createHash('sha256').update(`cni ${name}`).digest('hex')
}

function networkOf({ config }: CniCall): Network {
  const { name, mtu, internal, options, ipv4, ipv6 } = config
  return Network.fromPartial({
    id: idOf(name),
    name,
    subnets: config.subnets.map(cidr => ({ cidr })),
    mtu,
    internal,
    options,
    disableIpv4: !ipv4,
    disableIpv6: !ipv6,
  })
}

function attachmentOf({ config, containerId, interfaceName }: CniCall) {
  return { networkId: idOf(config.name), containerId, interfaceName }
}

function addRequest(call: CniCall): AddRequest {
  const { portMappings, mac, ips, aliases } = call.config.runtimeConfig
  return AddRequest.fromPartial({
    ...attachmentOf(call),
    namespace: 'cni',
    netnsPath: call.netns,
    addresses: ips.map(ip => ip.replace(/\/.*/, '')),
    mac,
    aliases: [...Object.values(aliases).flat(), call.containerId],
    ports: portMappings.map(({ hostIP, ...mapping }) => ({ ...mapping, hostIp: hostIP, count: 1 })),
    defaultRoute: call.config.isDefaultGateway,
  })
}

/** As the runtime's version of the spec has it: before 1.0.0 each address names its family. */
function printed({ config }: CniCall, result: Result | undefined): object {
  const hasFamily = config.cniVersion.startsWith('0.')
  const { interfaces = [], ips = [], routes = [], dns } = result ?? {}
  return {
    cniVersion: config.cniVersion,
    interfaces: interfaces.map(({ name, mac, sandbox }) => withoutEmpty({ name, mac, sandbox })),
    ips: ips.map(({ address, gateway, interface: index }) => ({
      ...(hasFamily ? { version: address.includes(':') ? '6' : '4' } : {}),
      ...withoutEmpty({ address, gateway }),
      ...(index === undefined ? {} : { interface: index }),
    })),
    routes: routes.map(({ dst, gw }) => withoutEmpty({ dst, gw })),
    dns: dns ? { nameservers: dns.nameservers, search: dns.search, options: dns.options } : {},
  }
}

function withoutEmpty(fields: Record<string, string>): Record<string, string> {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== ''))
}
