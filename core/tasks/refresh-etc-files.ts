/** A running container's /etc/hosts and /etc/resolv.conf after its networks changed. */
import type { Containers } from '#core/containers/containers.ts'
import { launchConfigOf, type PlacesOf } from '#core/launch/launch.ts'
import type { Networks } from '#core/networks/networks.ts'
import { effectiveHostname, writeEtcFiles } from './etc-files.ts'
import { linkHosts } from './link-hosts.ts'

export interface RefreshParts {
  readonly containers: Containers
  readonly networks: Networks
  readonly placesOf: PlacesOf
}

/** Writes them in place, so that mounts of them see it. NOT_FOUND: no such container. */
export async function refreshEtcFiles({ containers, networks, placesOf }: RefreshParts, ns: string, id: string) {
  const config = launchConfigOf(await containers.get(ns, id))
  if (config === undefined) return
  const attachments = await networks.attachments(ns, id)
  const hostname = effectiveHostname(config)
  const links = await linkHosts(networks, ns, attachments)
  await writeEtcFiles(placesOf(ns, id), { config, hostname, sharesHost: false, attachments, links })
}
