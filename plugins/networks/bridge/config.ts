/** The configuration table of the bridge plugin. */
import { createHash } from 'node:crypto'
import * as z from 'zod'
import { invalidArgument } from '#api/errors/errors.ts'
import { chosenBackend, type FirewallBackend, firewallBackends } from '#sdk/iptables-wrapper/open-firewall.ts'
import { addressBits, addressFromBytes, type IpSubnet, parseSubnet } from '#sdk/network-addresses.ts'
import { configOf } from '#sdk/plugin-config.ts'

const schema = z.strictObject({
  pools: z
    .array(
      z.strictObject({
        base: z.string().describe('Addresses to cut subnets from, such as "172.30.0.0/16" or "fd12:3456:789a::/48".'),
        size: z.int().min(8).max(126).describe('Prefix length of each subnet.'),
      }),
    )
    .min(1)
    .default([
      { base: '172.30.0.0/16', size: 24 },
      { base: '10.208.0.0/12', size: 24 },
    ])
    .describe(
      'Where networks without a subnet of their own get one; tried in order. Without an IPv6 one, /64 subnets come from a private fd00::/8 prefix of this host.',
    ),
  default_bridge_name: z
    .string()
    .max(15)
    .default('')
    .describe(
      'Link name of the network "bridge"; empty: "gantry0" for the gantryd at the default places, else derived.',
    ),
  mtu: z.int().min(0).max(65_535).default(0).describe('Bytes, for networks that say none; 0: as the default route.'),
  first_random_port: z.int().min(1024).max(65_535).default(32_768),
  last_random_port: z.int().min(1024).max(65_535).default(60_999),
  firewall: z
    .enum(['auto', ...firewallBackends])
    .default('auto')
    .describe('How to speak to the packet filter; auto: nftables, or iptables where that alone is installed.'),
})

export interface SubnetPool {
  readonly base: IpSubnet
  /** Prefix length of each subnet. */
  readonly size: number
}

export interface BridgeConfig {
  readonly pools: readonly SubnetPool[]
  readonly defaultBridgeName: string
  readonly mtu: number
  readonly randomPorts: { readonly first: number; readonly last: number }
  readonly firewall: FirewallBackend
}

const { parseConfig: parse, configSchema } = configOf(schema)

export { configSchema }

/** INVALID_ARGUMENT names the key. */
export function parseConfig(raw: unknown): BridgeConfig {
  const table = parse(raw)
  const { first_random_port: first, last_random_port: last } = table
  if (first > last) throw invalidArgument(`configuration: first_random_port ${first} is above last_random_port ${last}`)
  return {
    pools: table.pools.map(readPool),
    defaultBridgeName: table.default_bridge_name,
    mtu: table.mtu,
    randomPorts: { first, last },
    firewall: chosenBackend(table.firewall),
  }
}

function readPool({ base, size }: { base: string; size: number }, index: number): SubnetPool {
  const subnet = parseSubnet(base, `configuration: pools.${index}.base`)
  if (size < subnet.prefix)
    throw invalidArgument(`configuration: pools.${index}.size ${size} is larger than the whole pool ${base}`)
  const longest = addressBits(subnet.family) - 2
  if (size > longest)
    throw invalidArgument(
      `configuration: pools.${index}.size ${size} leaves no room for containers: at most ${longest}`,
    )
  return { base: subnet, size }
}

/**
 * RFC 4193: a /48 of this host's own, the same at every start. `seed` should differ from host to host.
 */
export function privatePrefix(seed: string): SubnetPool {
  const global = createHash('sha256').update(`gantry bridge ${seed}`).digest().subarray(0, 5)
  const base = addressFromBytes(Buffer.concat([Buffer.from([0xfd]), global, Buffer.alloc(10)]))
  return { base: parseSubnet(`${base}/48`), size: 64 }
}
