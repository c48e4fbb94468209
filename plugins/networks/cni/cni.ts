/**
 * The CNI network plugin: networks made by unmodified CNI binaries, from a configuration list as any CNI runtime reads it
 * (spec 1.1, https://www.cni.dev/docs/spec/). Here we are that runtime: we call the binaries of the list in order, feed each the
 * result of the one before, keep the results, and call DEL with them even when the namespace is gone.
 *
 * A network names its list by one of two options: `cni.conflist` (JSON text) or `cni.name` (the list of that name in
 * the plugin's configuration directory).
 *
 * - `conflist.ts` what a list is; `runtime.ts` the spec's verbs over a list; `execute.ts` one call of one binary
 * - `records.ts` what was attached, durably; `results.ts` CNI's result type and ours; `gc.ts` for binaries without GC
 */
import { join } from 'node:path'
import { KeyedLock } from '#api/concurrency/keyed-lock.ts'
import { openStore } from '#api/store/store.ts'
import { defineNetwork } from '#sdk/define-network.ts'
import { CniNetworks } from './cni-networks.ts'
import { configSchema, parseConfig } from './config.ts'
import { recordsIn } from './records.ts'
import { CniRuntime } from './runtime.ts'

export const cni = defineNetwork({
  id: 'cni',
  version: '0.1.0',
  capabilities: ['port-map', 'mac', 'static-address', 'ipv6', 'check', 'gc'],
  parseConfig,
  configSchema,
  create: async env =>
    new CniNetworks({
      config: env.config,
      records: recordsIn(openStore(join(env.root, 'ledger'))),
      runtime: new CniRuntime({ binDirectories: env.config.binDirectories, log: env.log }),
      lock: new KeyedLock(),
      instance: env.instance,
      log: env.log,
    }),
})
