/** Which networks a container is to be on. */
import type { NetworkAttachment } from '#api/gen/gantry/services/containers/v1/containers.ts'
import type { Input } from '#api/rpc/definition.ts'
import { badRequest } from '../../http/http-error.ts'
import type { Config, EndpointWish, HostConfig } from './body.ts'
import { publishedPorts } from './ports.ts'

export interface NetworkChoice {
  /** `NetworkMode` with container names made into ids. */
  mode: string
  /** By network name. */
  endpoints: Record<string, EndpointWish>
}

/** "default" and nothing at all are the bridge. */
export function modeOf({ NetworkMode }: Pick<HostConfig, 'NetworkMode'>): string {
  return NetworkMode === '' || NetworkMode === 'default' ? 'bridge' : NetworkMode
}

/** Those that every engine has; in them nobody is found by name. */
export const isUserDefined = (network: string): boolean => !['bridge', 'default', 'host', 'none'].includes(network)

/** 400 in Docker's words. It tells of them at the start. */
export function checkEndpoints(endpoints: Readonly<Record<string, Pick<EndpointWish, 'Aliases'>>>): void {
  for (const [network, { Aliases }] of Object.entries(endpoints))
    if (!isUserDefined(network) && (Aliases?.length ?? 0) > 0)
      throw badRequest('network-scoped aliases are only supported for user-defined networks')
}

export interface Naming {
  id: string
  name: string
}

/** 400: ports or addresses where there is no network of the container's own. */
export function attachments(
  { id, name }: Naming,
  { mode, endpoints }: NetworkChoice,
  config: Config,
  host: HostConfig,
): Input<NetworkAttachment>[] {
  if (mode === 'none' || mode === 'host' || mode.startsWith('container:')) return [{ network: mode }]
  const wished = Object.keys(endpoints)
  // What is asked for by name takes the place of the mode, which may be nothing but a default.
  const hasMode = wished.length === 0 || wished.includes(mode)
  const names = [...(hasMode ? [mode] : []), ...wished.filter(network => network !== mode)]
  const ports = publishedPorts(config, host)
  return names.map((network, index) => {
    const wish = endpoints[network]
    const isNamed = isUserDefined(network)
    return {
      network,
      // Docker tells of a network that there is not when the container is started.
      late: true,
      addresses: [wish?.IPAMConfig?.IPv4Address ?? '', wish?.IPAMConfig?.IPv6Address ?? ''].filter(text => text !== ''),
      mac: wish?.MacAddress || (index === 0 ? config.MacAddress : ''),
      aliases: isNamed ? [...new Set([name, ...(wish?.Aliases ?? []), id.slice(0, 12)])] : [],
      links: linksOf([...(wish?.Links ?? []), ...(index === 0 ? (host.Links ?? []) : [])]),
      gatewayPriority: wish?.GwPriority ?? 0,
      options: { ...ownOptions({ ...config.Labels, ...host.Annotations }), ...wish?.DriverOpts },
      ...(index === 0 && { ports }),
    }
  })
}

/** Wishes for the network can be said as labels or annotations too: plain clients have no flag for driver options. */
function ownOptions(texts: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(texts).filter(([key]) => key.startsWith('gantry.network.')))
}

/** "container:alias", or "container" alone. */
function linksOf(texts: readonly string[]): Record<string, string> {
  return Object.fromEntries(
    texts.map(text => {
      const [target = '', alias = target] = text.split(':')
      if (target === '') throw badRequest(`invalid link: ${text}`)
      return [alias.replace(/^.*\//, ''), target.replace(/^\//, '')]
    }),
  )
}
