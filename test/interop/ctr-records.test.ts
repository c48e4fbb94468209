/** Debian's ctr on our socket: images, content, snapshots, leases, namespaces, events. */
import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { mkdir, readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { Daemon } from '../daemon/daemon.ts'
import { sha256 } from '../fixtures/make-image.ts'
import { startRegistry } from '../registry/registry.ts'
import { eventually, type Try, trying } from './container-verbs.ts'
import { Ctr, debian, lacking } from './ctr.ts'
import { loadImage, testImage } from './load-image.ts'
import { Scoreboard } from './scoreboard.ts'

const skip = lacking(debian.ctr, '/usr/bin/docker-registry')

test('ctr keeps records on our socket', { skip, timeout: 170_000 }, async t => {
  using board = new Scoreboard()
  await using daemon = await Daemon.start()
  await using ctr = new Ctr(daemon.address, daemon.folder)
  const verb = trying(t, board, 'ctr, records')
  await daemonVerbs(verb, ctr)
  const image = await loadImage(ctr, daemon.folder)
  await imageVerbs(verb, ctr, image, daemon.folder)
  await registryVerbs(verb, ctr, image)
  await contentVerbs(verb, ctr)
  await snapshotVerbs(verb, ctr)
  await ownershipVerbs(verb, ctr)
  await containerRecordVerbs(verb, ctr, image)
})

async function daemonVerbs(verb: Try, ctr: Ctr): Promise<void> {
  await verb('version', async () => assert.match(await ctr.ok('version'), /Server:\s+Version:\s+\S+gantry/))
  await verb('plugins ls', async () =>
    assert.match(await ctr.ok('plugins', 'ls'), /^io\.containerd\.snapshotter\.v1\s+overlayfs\s.*\sok\s*$/m),
  )
}

async function imageVerbs(verb: Try, ctr: Ctr, image: string, folder: string): Promise<void> {
  const { target } = testImage()
  const names = async () => (await ctr.ok('images', 'ls', '-q')).trim().split('\n').sort()
  await verb('images ls', async () => {
    assert.match(await ctr.ok('images', 'ls'), new RegExp(`${image} .*${target.digest}.*linux/`))
  })
  await verb('images tag', async () => {
    await ctr.ok('images', 'tag', image, 'test.example/other:2')
    assert.deepEqual(await names(), [image, 'test.example/other:2'])
  })
  await verb('images label', async () => {
    await ctr.ok('images', 'label', image, 'a=b')
    assert.match(await ctr.ok('images', 'ls', 'labels.a==b'), new RegExp(`${image} .*a=b`))
    await ctr.ok('images', 'label', image, 'a=')
    assert.doesNotMatch(await ctr.ok('images', 'ls', 'labels.a==b'), new RegExp(image))
  })
  await verb('images check', async () =>
    assert.match(await ctr.ok('images', 'check'), new RegExp(`${image} .*complete \\(3/3\\).*true`)),
  )
  await verb('images mount, unmount', async () => {
    const place = join(folder, 'image-mount')
    await mkdir(place)
    await ctr.ok('images', 'mount', image, place)
    assert.equal(await readFile(join(place, 'etc/motd'), 'utf8'), 'hi\n')
    await ctr.ok('images', 'unmount', '--rm', place)
    assert.equal(existsSync(join(place, 'etc')), false)
    assert.doesNotMatch(await ctr.ok('snapshots', 'ls'), /image-mount/)
  })
  await verb('images export, rm, import', async () => {
    const file = join(folder, 'exported.tar')
    await ctr.ok('images', 'export', file, image)
    assert.ok((await stat(file)).size > 100_000)
    await ctr.ok('images', 'rm', '--sync', image, 'test.example/other:2')
    assert.equal(await ctr.ok('content', 'ls', '-q'), '')
    assert.doesNotMatch(await ctr.ok('snapshots', 'ls'), /Committed/)
    await ctr.ok('images', 'import', file)
    assert.deepEqual(await names(), [image])
  })
  await verb('images rm of none', async () =>
    assert.match((await ctr.outcome(['images', 'rm', 'no/such:1'])).stderr, /not found/),
  )
}

async function registryVerbs(verb: Try, ctr: Ctr, image: string): Promise<void> {
  await using registry = await startRegistry()
  const remote = `${registry.host}/interop/busybox:1`
  await verb('images push', async () => {
    await ctr.ok('images', 'tag', image, remote)
    await ctr.ok('images', 'push', '--plain-http', remote)
    const answer = await fetch(`http://${registry.host}/v2/interop/busybox/tags/list`)
    assert.deepEqual(await answer.json(), { name: 'interop/busybox', tags: ['1'] })
  })
  await verb('images pull', async () => {
    await ctr.ok('images', 'rm', '--sync', image, remote)
    assert.equal(await ctr.ok('content', 'ls', '-q'), '')
    await ctr.ok('images', 'pull', '--plain-http', remote)
    assert.match(await ctr.ok('images', 'check'), new RegExp(`${remote} .*complete \\(3/3\\).*true`))
  })
  await verb('images pull into another namespace', async () => {
    const other = new Ctr(ctr.address, ctr.fifos, `${ctr.namespace}-other`)
    await other.ok('images', 'pull', '--plain-http', remote)
    await other.ok('images', 'rm', '--sync', remote)
    assert.equal(await other.ok('content', 'ls', '-q'), '')
    await other.ok('namespaces', 'rm', other.namespace)
    assert.match(await ctr.ok('images', 'check'), /complete \(3\/3\)/)
  })
  await verb('content fetch', async () => {
    await ctr.ok('images', 'rm', '--sync', remote)
    await ctr.ok('content', 'fetch', '--plain-http', remote)
    assert.equal((await ctr.ok('content', 'ls', '-q')).trim().split('\n').length, 4)
    await ctr.ok('images', 'tag', remote, image)
    await ctr.ok('snapshots', 'unpack', testImage().target.digest)
  })
}

async function contentVerbs(verb: Try, ctr: Ctr): Promise<void> {
  const { target } = testImage()
  const digest = sha256('hello\n')
  await verb('content ls', async () =>
    assert.match(await ctr.ok('content', 'ls'), new RegExp(`${target.digest}\\s+${target.size}B`)),
  )
  await verb('content get', async () => assert.equal(await ctr.ok('content', 'get', target.digest), `${target.bytes}`))
  await verb('content ingest', async () => {
    // Nothing refers to it: a collection may come between the two commands.
    await eventually(async () => {
      const command = ['content', 'ingest', '--expected-size', '6', 'ref-1']
      const { code, stderr } = await ctr.outcome(command, { stdin: 'hello\n' })
      assert.equal(code, 0, stderr)
      await ctr.ok('content', 'label', digest, 'containerd.io/gc.root=test')
    })
    assert.equal(await ctr.ok('content', 'get', digest), 'hello\n')
  })
  await verb('content ingest of what it is not', async () => {
    const command = ['content', 'ingest', '--expected-digest', sha256('what it is not'), 'ref-2']
    assert.match((await ctr.outcome(command, { stdin: 'other\n' })).stderr, /failed precondition/)
  })
  await verb('content active', async () => assert.match(await ctr.ok('content', 'active'), /ref-2\s+6B/))
  await verb('content label', async () => {
    await ctr.ok('content', 'label', digest, 'k=v')
    assert.match(await ctr.ok('content', 'ls', 'labels.k==v'), new RegExp(digest))
  })
  await verb('content rm', async () => {
    await ctr.ok('content', 'rm', digest)
    assert.match((await ctr.outcome(['content', 'get', digest])).stderr, /not found/)
  })
  // Which lets the layers' blobs go, of which the snapshots were made.
  await verb('content prune references', async () => {
    await ctr.ok('content', 'prune', 'references')
    assert.match(await ctr.ok('images', 'check'), /incomplete \(1\/3\).* true/)
  })
}

async function snapshotVerbs(verb: Try, ctr: Ctr): Promise<void> {
  const rows = async () => (await ctr.ok('snapshots', 'ls')).trim().split('\n').slice(1)
  const top = (await rows()).map(row => row.split(/\s+/)).find(row => row.length >= 3)?.[0] ?? 'none'
  await verb('snapshots prepare', async () => {
    assert.match(await ctr.ok('snapshots', 'prepare', '--target', '/t', 'k1', top), /^mount -t overlay overlay \/t -o /)
  })
  await verb('snapshots view', async () => {
    await ctr.ok('snapshots', 'view', 'v1', top)
    // ctr gives a view no root: the collection that follows any removal would take it.
    await ctr.ok('snapshots', 'label', 'v1', 'containerd.io/gc.root=now')
    assert.ok((await rows()).some(row => /^v1\s+sha256:\S+\s+View/.test(row)))
  })
  await verb('snapshots mounts', async () => {
    const command = (await ctr.ok('snapshots', 'mounts', '/t', 'k1')).trim()
    assert.match(command, /upperdir=\S+/)
    const upper = /upperdir=([^,\s]+)/.exec(command)?.[1] ?? ''
    await writeFile(join(upper, 'added'), 'more')
  })
  await verb('snapshots info', async () => {
    const info = JSON.parse(await ctr.ok('snapshots', 'info', 'k1')) as Record<string, unknown>
    assert.deepEqual([info.Kind, info.Name, info.Parent], ['Active', 'k1', top])
  })
  await verb('snapshots usage', async () =>
    assert.match(await ctr.ok('snapshots', 'usage', 'k1'), /^k1\s+\S+ KiB\s+2/m),
  )
  await verb('snapshots tree', async () => assert.match(await ctr.ok('snapshots', 'tree'), /\\_ sha256:.*\n\s+\\_ k1/))
  await verb('snapshots label', async () => {
    await ctr.ok('snapshots', 'label', 'k1', 'foo=bar')
    assert.match(await ctr.ok('snapshots', 'info', 'k1'), /"foo": "bar"/)
  })
  await verb('snapshots diff', async () => {
    const gzip = await ctr.ok('snapshots', 'diff', 'k1')
    assert.ok(gzip.startsWith('\x1f'))
  })
  await verb('snapshots commit', async () => {
    await ctr.ok('snapshots', 'commit', 'c1', 'k1')
    const names = (await rows()).map(row => row.split(/\s+/)[0])
    assert.ok(names.includes('c1') && !names.includes('k1'))
  })
  await verb('snapshots rm', async () => {
    await ctr.ok('snapshots', 'prepare', 'k2', 'c1')
    assert.match((await ctr.outcome(['snapshots', 'rm', 'c1'])).stderr, /cannot remove snapshot with child/)
    for (const name of ['k2', 'c1', 'v1']) await ctr.ok('snapshots', 'rm', name)
    assert.ok((await rows()).every(row => row.includes('sha256:')))
  })
  await verb('snapshots of a snapshotter that is not there', async () =>
    assert.match(
      (await ctr.outcome(['snapshots', '--snapshotter', 'nope', 'ls'])).stderr,
      /snapshotter not loaded: nope/,
    ),
  )
}

async function ownershipVerbs(verb: Try, ctr: Ctr): Promise<void> {
  await verb('leases create, ls, rm', async () => {
    await ctr.ok('leases', 'create', '--id', 'l1', '--expires', '1h', 'x=y')
    assert.match(await ctr.ok('leases', 'ls'), /^l1 .*x=y/m)
    await ctr.ok('leases', 'rm', '--sync', 'l1')
    assert.doesNotMatch(await ctr.ok('leases', 'ls'), /^l1 /m)
    assert.match((await ctr.outcome(['leases', 'rm', 'l1'])).stderr, /lease "l1": not found/)
  })
  await verb('namespaces create, label, ls, rm', async () => {
    const name = `${ctr.namespace}-made`
    await ctr.ok('namespaces', 'create', name, 'a=b')
    await ctr.ok('namespaces', 'label', name, 'c=d')
    assert.match(await ctr.ok('namespaces', 'ls'), new RegExp(`^${name}\\s+a=b,c=d`, 'm'))
    await ctr.ok('namespaces', 'rm', name)
    assert.doesNotMatch(await ctr.ok('namespaces', 'ls', '-q'), new RegExp(`^${name}$`, 'm'))
    assert.match((await ctr.outcome(['namespaces', 'rm', ctr.namespace])).stderr, /must be empty/)
  })
  await verb('events', async () => {
    const events = ctr.spawn('events')
    let output = ''
    events.stdout?.on('data', (chunk: Buffer) => {
      output += chunk.toString()
    })
    try {
      await eventually(async () => {
        await ctr.ok('images', 'label', 'test.example/busybox:1', `n=${output.length}`)
        assert.match(output, new RegExp(` ${ctr.namespace} /images/update \\{"name":"test.example/busybox:1"`))
      })
    } finally {
      events.kill('SIGKILL')
    }
  })
}

async function containerRecordVerbs(verb: Try, ctr: Ctr, image: string): Promise<void> {
  await verb('containers create, ls, info, label, rm', async () => {
    await ctr.ok('containers', 'create', '--label', 'l=1', image, 'record', 'true')
    assert.match(
      await ctr.ok('containers', 'ls'),
      new RegExp(`^record\\s+${image}\\s+io\\.containerd\\.runc\\.v2`, 'm'),
    )
    await ctr.ok('containers', 'label', 'record', 'm=2')
    const info = JSON.parse(await ctr.ok('containers', 'info', 'record'))
    assert.deepEqual([info.Labels.l, info.Labels.m, info.Spec.process.args], ['1', '2', ['true']])
    assert.match((await ctr.outcome(['containers', 'create', image, 'record', 'true'])).stderr, /already exists/)
    await ctr.ok('containers', 'rm', 'record')
    assert.doesNotMatch(await ctr.ok('snapshots', 'ls'), /^record /m)
  })
}
