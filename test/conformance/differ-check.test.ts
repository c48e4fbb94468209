/** The kit for differs: ours, Debian's containerd and the example keep every rule, and broken ones are caught. */
import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { DiffDefinition } from '#api/gen/containerd/services/diff/v1/diff.ts'
import { PluginsServiceDefinition } from '#api/gen/gantry/services/plugins/v1/plugins.ts'
import { connect, createClient } from '#api/rpc/client.ts'
import type { DiffApi } from '#sdk/check/differ/differ-bench.ts'
import { differChecks } from '#sdk/check/differ/differ-checks.ts'
import { encoderFor } from '#sdk/check/differ/layer-archive.ts'
import { openTenancy } from '#sdk/check/tenancy.ts'
import { Daemon } from '../daemon/daemon.ts'
import { patience } from '../daemon/patience.ts'
import { runCommand } from '../daemon/run-command.ts'
import { debian, lacking } from '../interop/ctr.ts'
import { DebianContainerd } from '../interop/debian-containerd.ts'
import { differMutants } from './mutants/differ-mutants.ts'

const repo = join(import.meta.dirname, '../..')
const timeout = 300_000 * patience
const skip = process.getuid?.() === 0 ? false : 'needs root: it mounts'
const wantedShare = 0.95
const gzip = 'application/vnd.oci.image.layer.v1.tar+gzip'

async function keepsAll(address: string, ...flags: string[]): Promise<string> {
  const args = [join(repo, 'cmd/gctr/main.ts'), 'plugins', 'check', '--kind', 'differ', ...flags, address]
  const { code, stdout, stderr } = await runCommand([process.execPath, ...args], { timeoutMs: timeout })
  assert.equal(code, 0, stdout + stderr)
  return /^\d+ of \d+ rules kept$/m.exec(stdout)?.[0] ?? stdout
}

test('containerd’s own differ keeps the contract', {
  skip: lacking(debian.ctr, debian.containerd),
  timeout,
}, async t => {
  await using containerd = await DebianContainerd.start()
  t.diagnostic(await keepsAll(containerd.address, '--foreign'))
})

test('ours keeps it, the example does, and broken ones are caught', { skip, timeout }, async t => {
  await using daemon = await Daemon.start()
  for (const type of ['tar', 'tar+gzip', 'tar+zstd'])
    t.diagnostic(
      `${type}: ${await keepsAll(daemon.address, '--foreign', '--media-type', `application/vnd.oci.image.layer.v1.${type}`)}`,
    )
  if (existsSync('/usr/bin/xz')) t.diagnostic(`the example: ${await example(daemon)}`)

  await using tenancy = await openTenancy(daemon.address)
  using core = connect(daemon.address, tenancy.options)
  const right = createClient(DiffDefinition, core)
  const caughtBy = async (api: DiffApi) => {
    for (const [rule, check] of Object.entries(differChecks))
      try {
        await check({ api, core, mediaType: gzip, encode: encoderFor(gzip, undefined) })
      } catch {
        return rule
      }
    return undefined
  }
  assert.equal(await caughtBy(right), undefined)
  const rows: [mutant: string, by: string | undefined][] = []
  for (const [name, mutate] of Object.entries(differMutants))
    rows.push([name, await caughtBy({ ...right, ...mutate(right) })])
  for (const [name, by] of rows)
    t.diagnostic(`${by === undefined ? 'MISSED' : 'caught'}  differ: ${name}  (${by ?? 'no rule'})`)
  const caught = rows.filter(([, by]) => by !== undefined).length
  t.diagnostic(`${caught} of ${rows.length} mutants caught`)
  assert.ok(caught >= wantedShare * rows.length, `only ${caught} of ${rows.length} are caught`)
})

async function example(daemon: Daemon): Promise<string> {
  const added = await daemon.run('plugins', 'add', '--link', join(repo, 'contrib/examples/typescript-differ'))
  assert.equal(added.code, 0, added.stderr)
  using channel = connect(daemon.address)
  // It starts at its first use.
  await createClient(PluginsServiceDefinition, channel).reach({ kind: 'differ', id: 'xz' })
  return await keepsAll(join(daemon.state, 'differs/xz.sock'), '--core', daemon.address, '--encode', 'xz -1 -c')
}
