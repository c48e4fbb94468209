/** What a CNI runtime says to a binary: spec 1.1, section 2. */
import * as z from 'zod'
import { type ErrorCode, invalidArgument, messageOf } from '#api/errors/errors.ts'

export const supportedVersions = ['0.3.0', '0.3.1', '0.4.0', '1.0.0', '1.1.0'] as const

const mapping = z.looseObject({
  hostPort: z.number(),
  containerPort: z.number(),
  protocol: z.string().default('tcp'),
  hostIP: z.string().default(''),
})

const configSchema = z.looseObject({
  cniVersion: z.string().default('0.4.0'),
  name: z.string().default(''),
  /** Unix socket of a running bridge plugin. */
  address: z.string().default('/run/gantry/bridge.sock'),
  subnets: z.array(z.string()).default([]),
  mtu: z.int().default(0),
  internal: z.boolean().default(false),
  isDefaultGateway: z.boolean().default(true),
  ipv4: z.boolean().default(true),
  ipv6: z.boolean().default(true),
  /** Docker's names, such as com.docker.network.bridge.enable_icc. */
  options: z.record(z.string(), z.string()).default({}),
  runtimeConfig: z
    .looseObject({
      portMappings: z.array(mapping).default([]),
      mac: z.string().default(''),
      ips: z.array(z.string()).default([]),
      aliases: z.record(z.string(), z.array(z.string())).default({}),
    })
    .prefault({}),
  prevResult: z.looseObject({}).optional(),
  'cni.dev/valid-attachments': z.array(z.object({ containerID: z.string(), ifname: z.string() })).default([]),
})

export type CniConfig = z.output<typeof configSchema>

export interface CniCall {
  readonly verb: string
  readonly containerId: string
  readonly netns: string
  readonly interfaceName: string
  readonly config: CniConfig
}

/** INVALID_ARGUMENT names the field or the variable. */
export function readCall(input: string, env: NodeJS.ProcessEnv): CniCall {
  const { CNI_COMMAND: verb = '', CNI_CONTAINERID: containerId = '', CNI_NETNS: netns = '', CNI_IFNAME = '' } = env
  const parsed = configSchema.safeParse(parseJson(input))
  if (!parsed.success) {
    const issues = parsed.error.issues.map(({ path, message }) => `${path.join('.')}: ${message}`)
    throw invalidArgument(`network configuration: ${issues.join('; ')}`)
  }
  const args = readArgs(env.CNI_ARGS ?? '')
  const { runtimeConfig } = parsed.data
  runtimeConfig.mac ||= args.MAC ?? ''
  if (runtimeConfig.ips.length === 0 && args.IP) runtimeConfig.ips = args.IP.split(',')
  const isAttachment = ['ADD', 'DEL', 'CHECK'].includes(verb)
  if (isAttachment && (containerId === '' || CNI_IFNAME === ''))
    throw invalidArgument(`CNI_COMMAND=${verb} needs CNI_CONTAINERID and CNI_IFNAME`)
  if (verb === 'ADD' && netns === '') throw invalidArgument('CNI_COMMAND=ADD needs CNI_NETNS')
  return { verb, containerId, netns, interfaceName: CNI_IFNAME, config: parsed.data }
}

/**
 * CNI_ARGS, `K=V;K=V`. MAC and IP are the older way to say what the capabilities `mac` and `ips` say, and podman's for one;
 * what else is in it is for others.
 */
function readArgs(text: string): Partial<Record<string, string>> {
  const pairs = text.split(';').map(pair => [pair.replace(/=.*/, ''), pair.replace(/^[^=]*=?/, '')] as const)
  return Object.fromEntries(pairs)
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch (cause) {
    throw invalidArgument(`network configuration is not JSON: ${messageOf(cause)}`, { cause })
  }
}

/** The spec's table of well-known codes; 100 and above are a plugin's own. */
export function errorCodeOf(code: ErrorCode): number {
  const codes: Partial<Record<ErrorCode, number>> = {
    INVALID_ARGUMENT: 7,
    NOT_FOUND: 3,
    UNAVAILABLE: 50,
    ALREADY_EXISTS: 101,
    RESOURCE_EXHAUSTED: 102,
    FAILED_PRECONDITION: 103,
  }
  return codes[code] ?? 999
}
