import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseDeviceRule } from './device-rules.ts'
import { composeRlimits, parseHardLimits } from './rlimits.ts'

const text = `Limit                     Soft Limit           Hard Limit           Units     
Max open files            1024                 4096                 files     
Max stack size            8388608              unlimited            bytes     
`

test('hard limits are read by the names of ulimits; unlimited is none', () => {
  assert.deepEqual([...parseHardLimits(text)], [['nofile', 4096n]])
})

test('a limit above the ceiling is clamped, and told', () => {
  const { rlimits, warnings } = composeRlimits([{ name: 'nofile', soft: 10n, hard: 9999n }], parseHardLimits(text))
  assert.deepEqual(rlimits, [{ type: 'RLIMIT_NOFILE', soft: 10n, hard: 4096n }])
  assert.match(warnings[0] ?? '', /nofile: 9999 is more than this host allows: 4096 instead/)
  assert.throws(() => composeRlimits([{ name: 'nofile', soft: 2n, hard: 1n }]), /soft limit 2 is above/)
})

test('device rules are read in the form of devices.allow', () => {
  assert.deepEqual(parseDeviceRule('c 1:3 rw'), { allow: true, type: 'c', major: 1, minor: 3, access: 'rw' })
  assert.deepEqual(parseDeviceRule('a *:* rwm'), { allow: true, type: 'a', access: 'rwm' })
  assert.throws(() => parseDeviceRule('x 1:2 rwm'), /not of the form/)
})
