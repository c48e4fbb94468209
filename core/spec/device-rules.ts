/** Device rules as people write them (cgroup v1's devices.allow): "c 1:3 rwm", "b 8:* r", "a *:* rwm". */
import { invalidArgument } from '#api/errors/errors.ts'
import type { DeviceRule } from './runtime-spec.ts'

/** INVALID_ARGUMENT names the rule. */
export function parseDeviceRule(text: string): DeviceRule {
  const [, type, major, minor, access] = /^([acb]) (\d+|\*):(\d+|\*) ([rwm]{1,3})$/.exec(text) ?? []
  if (type === undefined || access === undefined)
    throw invalidArgument(`device_cgroup_rules "${text}" is not of the form "c 1:3 rwm"`)
  return {
    ...{ allow: true, access, type: type as 'a' | 'b' | 'c' },
    ...(major !== '*' && { major: Number(major) }),
    ...(minor !== '*' && { minor: Number(minor) }),
  }
}
