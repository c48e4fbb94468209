/** containerd's checklist for snapshotters, asked of the daemon: our front, and the overlayfs process behind it. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { connect } from '#api/rpc/client.ts'
import { proxyBackend } from '#core/snapshots/snapshots.ts'
import { snapshotClient } from '#sdk/snapshot-client.ts'
import type { Snapshotter } from '#sdk/snapshotter.ts'
import { snapshotterSuite } from '#sdk/snapshotter-suite.ts'
import { startCore } from './core-server.ts'

const main = join(import.meta.dirname, '../../plugins/snapshotters/overlayfs/main.ts')

async function start(root: string): Promise<Snapshotter> {
  const address = join(root, 's.sock')
  const args = [main, '--address', address, '--root', root, '--log-level', 'error']
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'inherit', 'inherit'] })
  const exited = once(child, 'exit')
  for (let tries = 0; !existsSync(address); tries++) {
    assert.ok(tries < 1000 && child.exitCode === null, 'the snapshotter did not serve')
    await sleep(10)
  }
  const channel = connect(address)
  const coreRoot = join(root, 'core')
  mkdirSync(coreRoot, { recursive: true })
  const core = await startCore({ backend: proxyBackend('overlayfs', channel), root: coreRoot })
  const snapshotter = snapshotClient(connect(core.address, { namespace: 'suite' }), 'overlayfs')
  let closing: Promise<void> | undefined
  const close = async () => {
    await snapshotter.close()
    await core[Symbol.asyncDispose]()
    channel.close()
    child.kill('SIGTERM')
    await exited
  }
  return {
    ...snapshotter,
    // The front answers UNIMPLEMENTED, as containerd's does: its sweep removes what is unlinked, and cleans up.
    cleanup: () => core.sweep(),
    close() {
      closing ??= close()
      return closing
    },
  }
}

snapshotterSuite('overlayfs, through the core', start)
