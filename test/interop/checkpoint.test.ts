/** Checkpoint and restore by CRIU under us, through runc's shim and our own, as `ctr` asks for them; see also test/vm. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { Daemon } from '../daemon/daemon.ts'
import { Counter, everything } from './checkpoint-verbs.ts'
import { eventually } from './container-verbs.ts'
import { Ctr, debian, lacking } from './ctr.ts'
import { loadImage } from './load-image.ts'

const skip = lacking(debian.ctr, debian.runcShim, debian.runc)
const criu = spawnSync('criu', ['check'], { encoding: 'utf8' })
/** Why CRIU cannot work on this host, in its own words; undefined when it can. */
const refusal = criu.error ? `${criu.error.message}` : criu.status === 0 ? undefined : criu.stderr.trim().slice(-300)
const counting = 'i=0; while :; do i=$((i+1)); echo $i > /out/count; sleep 0.1; done'

test('a task is checkpointed and goes on elsewhere', { skip }, async t => {
  await using daemon = await Daemon.start({ config: '[containers]\nruntimes = {}\n' })
  await using ctr = new Ctr(daemon.address, daemon.folder)
  const image = await loadImage(ctr, daemon.folder)
  const mount = ['--mount', `type=bind,src=${daemon.folder},dst=/out,options=rbind:rw`]
  await ctr.ok('run', '-d', '--null-io', ...mount, image, 'counts', 'sh', '-c', counting)
  const count = async () => Number(await readFile(join(daemon.folder, 'count'), 'utf8'))
  await eventually(async () => assert.ok((await count()) > 3))
  const { code, stderr } = await ctr.outcome(['containers', 'checkpoint', ...everything, 'counts', 'x/frozen:1'])
  if (refusal !== undefined) {
    t.diagnostic(`CRIU cannot work here: ${refusal}`)
    assert.notEqual(code, 0)
    assert.match(stderr, /criu|checkpoint/)
    // Refused or not, it runs on.
    const before = await count()
    await eventually(async () => assert.ok((await count()) > before))
    return
  }
  assert.equal(code, 0, stderr)
  await ctr.ok('tasks', 'rm', '--force', 'counts')
  const reached = await count()
  await ctr.ok('containers', 'rm', 'counts')
  await ctr.ok('containers', 'restore', '--rw', '--live', 'again', 'x/frozen:1')
  await eventually(async () => assert.ok((await count()) > reached))
})

/** runc, but for CRIU: a checkpoint is one file with a word in it, and its restore a new start that copies the word out. */
const withoutCriu = (folder: string) => `#!/bin/sh
verb= image= rest=
while [ $# -gt 0 ]; do
  case $1 in
    checkpoint | restore) verb=$1 ;;
    --image-path) image=$2; shift ;;
    --work-path | --manage-cgroups-mode) shift ;;
    --no-subreaper) ;;
    *) rest="$rest $1"; [ "$verb" = restore ] && [ "$done" != 1 ] && { done=1; rest="\${rest% $1} run $1"; } ;;
  esac
  shift
done
case $verb in
  checkpoint) echo "frozen" > "$image/state" ;;
  restore) cp "$image/state" ${folder}/restored; exec ${debian.runc} $rest ;;
  *) exec ${debian.runc} $rest ;;
esac
`

test('what a runtime leaves in a checkpoint’s folder is what it finds when it restores', { skip }, async () => {
  await using daemon = await Daemon.start()
  await using ctr = new Ctr(daemon.address, daemon.folder)
  const image = await loadImage(ctr, daemon.folder)
  const binary = join(daemon.folder, 'runc-without-criu')
  await writeFile(binary, withoutCriu(daemon.folder), { mode: 0o755 })
  const run = (...args: string[]) => ctr.ok('run', '-d', '--null-io', '--runc-binary', binary, ...args)
  await run(image, 'source', 'sleep', '1000')
  await ctr.ok('containers', 'checkpoint', ...everything, 'source', 'x/frozen:1')
  assert.match(await ctr.ok('tasks', 'ls'), /source\s+\d+\s+RUNNING/)
  await ctr.ok('tasks', 'rm', '--force', 'source')
  await ctr.ok('containers', 'restore', '--rw', '--live', 'target', 'x/frozen:1')
  assert.equal(await readFile(join(daemon.folder, 'restored'), 'utf8'), 'frozen\n')
  assert.match(await ctr.ok('tasks', 'ls'), /target\s+\d+\s+RUNNING/)
  assert.deepEqual(await readdir(join(daemon.state, 'tmp')), [])
})

test('our own shim makes one, or says what CRIU said', { skip }, async t => {
  await using daemon = await Daemon.start()
  await using ctr = new Ctr(daemon.address, daemon.folder)
  const image = await loadImage(ctr, daemon.folder)
  const counter = new Counter({ ctr, image, folder: daemon.folder, flags: [] }, 'ours')
  await counter.start('--null-io')
  const { code, stderr } = await ctr.outcome(['tasks', 'checkpoint', 'ours'])
  if (refusal === undefined) assert.equal(code, 0, stderr)
  else {
    t.diagnostic(`CRIU cannot work here: ${refusal}`)
    assert.notEqual(code, 0)
    assert.match(
      stderr,
      /checkpoint failed: (criu: .+its log: .+criu-dump\.log|no program called criu in .+install CRIU)/,
    )
  }
  // Refused or not, it runs on.
  await counter.counts(await counter.reached())
  assert.equal(await counter.status(), 'RUNNING')
})
