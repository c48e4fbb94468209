/** The AppArmor profile of a container (`process.apparmorProfile` of the OCI runtime spec). */
import type { ContainerConfig } from '#api/gen/gantry/services/containers/v1/containers.ts'
import type { HostFacts } from './host.ts'

export interface ApparmorChoice {
  /** Name of a profile; undefined: unconfined. */
  profile?: string
  warnings: string[]
}

/** Whether the profile is loaded is found out by the kernel, when the program is executed. */
export function chooseApparmorProfile(
  { apparmorProfile: profile }: Pick<ContainerConfig, 'apparmorProfile'>,
  { hasApparmor }: Pick<HostFacts, 'hasApparmor'>,
): ApparmorChoice {
  if (profile === '' || profile === 'unconfined') return { warnings: [] }
  if (hasApparmor) return { profile, warnings: [] }
  return { warnings: [`this host has no AppArmor: profile "${profile}" has no effect`] }
}
