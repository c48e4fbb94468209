/** The kit for runtimes: our shim and Debian's keep every rule, and shims with one thing wrong are caught. */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import { limitWaits } from '#sdk/check/shim/shim-bench.ts'
import { type Shim, shimAt } from '#sdk/check/shim/shim-executable.ts'
import { shimChecks } from '#sdk/check/shim-rules.ts'
import { patience } from '../daemon/patience.ts'
import { runCommand } from '../daemon/run-command.ts'
import { debian, lacking } from '../interop/ctr.ts'
import { shimMutants } from './mutants/shim-mutants.ts'

const repo = join(import.meta.dirname, '../..')
const ours = join(repo, 'build/bin/containerd-shim-gantry-v1')
const timeout = 300_000 * patience
const wantedShare = 0.95

const check = (executable: string) =>
  runCommand([process.execPath, join(repo, 'cmd/gctr/main.ts'), 'plugins', 'check', '--kind', 'runtime', executable], {
    timeoutMs: timeout,
  })

for (const [name, executable, needs] of [
  ['ours', ours, [ours]],
  ['Debian’s containerd-shim-runc-v2', debian.runcShim, [debian.runcShim, debian.runc]],
] as const)
  test(`${name} keeps the contract`, { skip: lacking(...needs), timeout }, async t => {
    const { code, stdout, stderr } = await check(executable)
    assert.equal(code, 0, stdout + stderr)
    const [, kept, all] = /^(\d+) of (\d+) rules kept$/m.exec(stdout) ?? []
    assert.ok(kept === all && Number(all) >= 30, stdout)
    t.diagnostic(`${kept} of ${all} rules kept`)
  })

test('what is no shim keeps no rule', { skip: lacking(ours), timeout }, async () => {
  const { code, stdout } = await check('/bin/false')
  assert.equal(code, 1)
  assert.match(stdout, /^FAILED {2}start answers an address and nothing else$/m)
})

const atOnce = 8

/** The first rule that sees it; the others of its batch are waited for. */
async function caughtBy(shim: Shim): Promise<string | undefined> {
  const rules = Object.entries(shimChecks)
  for (let from = 0; from < rules.length; from += atOnce) {
    const batch = rules.slice(from, from + atOnce)
    const outcomes = await Promise.allSettled(batch.map(([, rule]) => rule(shim)))
    const at = outcomes.findIndex(({ status }) => status === 'rejected')
    if (at >= 0) return batch[at]?.[0]
  }
  return undefined
}

test('broken shims are caught', { skip: lacking(ours), timeout }, async t => {
  const right = shimAt(ours)
  assert.equal(await caughtBy(right), undefined, 'ours without a fault')
  limitWaits(3_000 * patience)
  const rows: [mutant: string, by: string | undefined][] = []
  for (const [name, mutate] of Object.entries(shimMutants)) rows.push([name, await caughtBy(mutate(right))])
  for (const [name, by] of rows)
    t.diagnostic(`${by === undefined ? 'MISSED' : 'caught'}  runtime: ${name}  (${by ?? 'no rule'})`)
  const caught = rows.filter(([, by]) => by !== undefined).length
  t.diagnostic(`${caught} of ${rows.length} mutants caught`)
  assert.ok(rows.length >= 40)
  assert.ok(caught >= wantedShare * rows.length, `only ${caught} of ${rows.length} are caught`)
})
