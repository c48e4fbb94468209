/**
 * Names that are global to the kernel. Each begins with the instance's own prefix, so that a sweep can tell ours from
 * another gantryd's; the number behind it is never used twice.
 */

export function bridgeName(instance: string, sequence: number): string {
  return `${linkPrefix(instance)}b${sequence.toString(36)}`
}

/** The host's end of a container's link. */
export function vethName(instance: string, sequence: number): string {
  return `${vethPrefix(instance)}${sequence.toString(36)}`
}

export function vethPrefix(instance: string): string {
  return `${linkPrefix(instance)}v`
}

/** Joins a bridge to those of other hosts. */
export function overlayName(instance: string, sequence: number): string {
  return `${linkPrefix(instance)}x${sequence.toString(36)}`
}

/** Eight of the fifteen characters a link's name may have. */
export function linkPrefix(instance: string): string {
  return `gt${instance.slice(0, 6)}`
}

/** Written on a bridge (IFLA_IFALIAS): whose it is and for which network, whatever its name. */
export function bridgeAlias(instance: string, networkId: string): string {
  return `${aliasPrefix(instance)}${networkId}`
}

export function aliasPrefix(instance: string): string {
  return `gantry ${instance} network `
}
