/**
 * Seccomp profiles in Docker's format: like the runtime spec's, with rules that hold only for some
 * architectures, capabilities or kernels. `seccomp-default.json` is Docker's default policy in that format.
 */
import * as z from 'zod'
import { invalidArgument } from '#api/errors/errors.ts'
import type { Seccomp, SeccompRule } from './runtime-spec.ts'
// Imported, not read, so that it is part of a bundle.
import defaultJson from './seccomp-default.json' with { type: 'json' }

const condition = z
  .object({
    caps: z.array(z.string()).nullish(),
    arches: z.array(z.string()).nullish(),
    minKernel: z.string().nullish(),
  })
  .nullish()

const argument = z.object({
  index: z.number().int(),
  value: z.number(),
  valueTwo: z.number().nullish(),
  op: z.string(),
})

const profileSchema = z.object({
  defaultAction: z.string(),
  defaultErrnoRet: z.number().nullish(),
  architectures: z.array(z.string()).nullish(),
  archMap: z.array(z.object({ architecture: z.string(), subArchitectures: z.array(z.string()).nullish() })).nullish(),
  flags: z.array(z.string()).nullish(),
  syscalls: z
    .array(
      z.object({
        name: z.string().nullish(),
        names: z.array(z.string()).nullish(),
        action: z.string(),
        errnoRet: z.number().nullish(),
        args: z.array(argument).nullish(),
        includes: condition,
        excludes: condition,
      }),
    )
    .nullish(),
})

type Profile = z.infer<typeof profileSchema>
type Condition = z.infer<typeof condition>

/** What the conditions of a profile are about. */
export interface SeccompHost {
  /** Go's name, as "amd64". */
  architecture: string
  /** As "6.1.0-18-amd64". */
  kernelRelease: string
}

const nativeArchitecture: Record<string, string> = {
  amd64: 'SCMP_ARCH_X86_64',
  arm64: 'SCMP_ARCH_AARCH64',
  riscv64: 'SCMP_ARCH_RISCV64',
  ppc64le: 'SCMP_ARCH_PPC64LE',
  s390x: 'SCMP_ARCH_S390X',
}

let loadedDefault: Profile | undefined

/**
 * The filter for a container with these capabilities; `undefined` is "no filter" (`unconfined`).
 * An empty profile text means the default policy. INVALID_ARGUMENT says what is wrong with a profile.
 */
export function composeSeccomp(
  profile: string,
  capabilities: readonly string[],
  host: SeccompHost,
): Seccomp | undefined {
  if (profile === 'unconfined') return undefined
  return resolve(profile === '' ? defaultProfile() : parse(profile), capabilities, host)
}

function defaultProfile(): Profile {
  loadedDefault ??= profileSchema.parse(defaultJson)
  return loadedDefault
}

function parse(text: string): Profile {
  let json: unknown
  try {
    json = JSON.parse(text)
  } catch (cause) {
    throw invalidArgument('seccomp_profile is neither "unconfined" nor the JSON text of a profile', { cause })
  }
  const parsed = profileSchema.safeParse(json)
  if (parsed.success) return parsed.data
  const issue = parsed.error.issues[0]
  throw invalidArgument(`seccomp_profile: ${issue?.path.join('.')}: ${issue?.message}`)
}

function resolve(profile: Profile, capabilities: readonly string[], host: SeccompHost): Seccomp {
  const syscalls = (profile.syscalls ?? []).filter(
    rule => holds(rule.includes, capabilities, host) && !isExcluded(rule.excludes, capabilities, host),
  )
  const architectures = chooseArchitectures(profile, host)
  return {
    defaultAction: profile.defaultAction,
    ...(profile.defaultErrnoRet != null && { defaultErrnoRet: profile.defaultErrnoRet }),
    ...(architectures.length > 0 && { architectures }),
    ...(profile.flags?.length && { flags: profile.flags }),
    syscalls: syscalls.map(toRule),
  }
}

function toRule(rule: NonNullable<Profile['syscalls']>[number]): SeccompRule {
  const args = rule.args?.map(({ valueTwo, ...rest }) => ({ ...rest, ...(valueTwo != null && { valueTwo }) }))
  return {
    names: rule.names ?? (rule.name ? [rule.name] : []),
    action: rule.action,
    ...(rule.errnoRet != null && { errnoRet: rule.errnoRet }),
    ...(args?.length && { args }),
  }
}

/** Every stated condition must be met; of several architectures one is enough, of several capabilities all are needed. */
function holds(includes: Condition, capabilities: readonly string[], host: SeccompHost): boolean {
  if (includes?.arches?.length && !includes.arches.includes(host.architecture)) return false
  if (includes?.caps?.some(name => !capabilities.includes(name))) return false
  return !includes?.minKernel || compareVersions(host.kernelRelease, includes.minKernel) >= 0
}

function isExcluded(excludes: Condition, capabilities: readonly string[], host: SeccompHost): boolean {
  if (excludes?.arches?.includes(host.architecture)) return true
  if (excludes?.caps?.some(name => capabilities.includes(name))) return true
  return !!excludes?.minKernel && compareVersions(host.kernelRelease, excludes.minKernel) >= 0
}

function chooseArchitectures(profile: Profile, host: SeccompHost): string[] {
  if (profile.architectures?.length) return profile.architectures
  const native = nativeArchitecture[host.architecture]
  const row = profile.archMap?.find(entry => entry.architecture === native)
  return row ? [row.architecture, ...(row.subArchitectures ?? [])] : []
}

function compareVersions(a: string, b: string): number {
  const [majorA = 0, minorA = 0] = a.split('.').map(part => Number.parseInt(part, 10))
  const [majorB = 0, minorB = 0] = b.split('.').map(part => Number.parseInt(part, 10))
  return majorA - majorB || minorA - minorB
}
