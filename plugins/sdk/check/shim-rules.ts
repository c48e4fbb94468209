/** The rules for runtimes: containerd's shim v2 contract, against any executable. */
import type { Rule } from './rule.ts'
import { executableChecks, type ShimChecks } from './shim/executable-checks.ts'
import { type Shim, shimAt } from './shim/shim-executable.ts'
import { streamChecks } from './shim/stream-checks.ts'
import { taskChecks } from './shim/task-checks.ts'

export const shimChecks: ShimChecks = { ...executableChecks, ...taskChecks, ...streamChecks }

/** `executable`: its absolute path. */
export function shimRules(executable: string, shim: Shim = shimAt(executable)): Rule[] {
  return Object.entries(shimChecks).map(([text, check]) => ({ text, check: () => check(shim) }))
}
