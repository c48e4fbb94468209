/** Names of the networks that are always there; each is also the id of its driver. */
export const builtInNetworks = ['bridge', 'host', 'none'] as const

export function isBuiltIn(name: string): boolean {
  const names: readonly string[] = builtInNetworks
  return names.includes(name)
}
