/** `--security-opt`. */
import { badRequest } from '../../http/http-error.ts'

export interface SecurityChoice {
  noNewPrivileges: boolean
  /** "unconfined", JSON text, or empty: the default profile. */
  seccompProfile: string
  /** Name of a loaded profile, "unconfined", or empty: none asked for. */
  apparmorProfile: string
  /** Nothing of /proc and /sys is masked. */
  unconfinedPaths: boolean
  warnings: string[]
}

/** 400 in Docker's words for an option that it does not know. */
export function parseSecurity(options: readonly string[]): SecurityChoice {
  const choice: SecurityChoice = {
    noNewPrivileges: false,
    seccompProfile: '',
    apparmorProfile: '',
    unconfinedPaths: false,
    warnings: [],
  }
  for (const option of options) apply(choice, option)
  return choice
}

function apply(choice: SecurityChoice, option: string): void {
  if (option === 'no-new-privileges') {
    choice.noNewPrivileges = true
    return
  }
  const [, key = '', value = ''] = /^([^=:]+)[=:]([\s\S]*)$/.exec(option) ?? []
  if (key === '') throw badRequest(`invalid --security-opt 1: "${option}"`)
  if (key === 'no-new-privileges') choice.noNewPrivileges = booleanOf(option, value)
  else if (key === 'seccomp') choice.seccompProfile = value === 'builtin' ? '' : value
  else if (key === 'systempaths') choice.unconfinedPaths = value === 'unconfined'
  else if (key === 'apparmor') choice.apparmorProfile = value
  else if (key === 'label') {
    if (value !== 'disable') choice.warnings.push(`label is not available on this host: "${option}" has no effect`)
  } else throw badRequest(`invalid --security-opt 2: "${option}"`)
}

function booleanOf(option: string, value: string): boolean {
  if (/^(1|t|true)$/i.test(value)) return true
  if (/^(0|f|false)$/i.test(value)) return false
  throw badRequest(`invalid --security-opt 2: "${option}"`)
}
