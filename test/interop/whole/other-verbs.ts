/** `ctr` version, plugins, oci, leases, namespaces, events, install, shim. */
import assert from 'node:assert/strict'
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { runCommand } from '../../daemon/run-command.ts'
import { busyboxLayer, layoutTar, makeImage } from '../../fixtures/make-image.ts'
import { eventually } from '../container-verbs.ts'
import { debian } from '../ctr.ts'
import { imageName } from './image-verbs.ts'
import type { PairVerb } from './pair.ts'
import type { Side } from './side.ts'

export async function otherVerbs(verb: PairVerb): Promise<void> {
  await daemonVerbs(verb)
  await leaseVerbs(verb)
  await namespaceVerbs(verb)
  await eventVerbs(verb)
  await installVerbs(verb)
  await shimVerbs(verb)
}

async function daemonVerbs(verb: PairVerb): Promise<void> {
  await verb('version', async side => {
    const output = await side.unseen('version')
    side.note(output.replace(/Server:[\s\S]*/, match => match.replaceAll(/: *\S*$/gm, ': …')))
    assert.match(output, /Server:\n {2}Version: +\S+\n {2}Revision: +\S*\n {2}UUID: +[0-9a-f-]{36}/)
  })
  await verb('plugins ls, -q, -d', async side => {
    assert.match(await side.unseen('plugins', 'ls'), /^io\.containerd\.snapshotter\.v1\s+overlayfs\s.*\sok\s*$/m)
    assert.match(await side.unseen('plugins', 'ls', '-q', 'type~=snapshotter'), /overlayfs/)
    assert.match(await side.unseen('plugins', 'ls', '-d', 'id==overlayfs'), /Type: +io\.containerd\.snapshotter\.v1/)
    await side.ok('plugins', 'ls', 'id==none')
    await side.fails('plugins', 'ls', 'id==')
  })
  await verb('oci spec', async side => void (await side.ok('oci', 'spec')))
  await verb('--connect-timeout, --timeout, --debug', async side => {
    await side.ok('--connect-timeout', '5s', '--timeout', '20s', 'namespaces', 'ls', '-q')
    const [file = ''] = side.ctr.argv()
    const { code } = await runCommand([
      file,
      '--address',
      `${side.ctr.address}.none`,
      '--connect-timeout',
      '200ms',
      'version',
    ])
    assert.equal(code, 1)
  })
}

async function leaseVerbs(verb: PairVerb): Promise<void> {
  await verb('leases create', async side => {
    assert.equal(await side.ok('leases', 'create', '--id', 'l1', 'x=y'), 'l1\n')
    assert.match(await side.unseen('leases', 'create'), /\S/)
    await side.fails('leases', 'create', '--id', 'l1')
    await side.ok('leases', 'create', '--id', 'l3', '--expires', '0')
    await side.ok('leases', 'create', '--id', 'l4', '-x', '1h')
  })
  await verb('leases ls, ls -q, filters', async side => {
    await side.ok('leases', 'ls', 'labels.x==y')
    await side.ok('leases', 'ls', '-q', 'id~=^l[134]$')
    await side.fails('leases', 'ls', 'id==')
  })
  await verb('leases create: it expires', async side => {
    await side.ok('leases', 'create', '--id', 'short', '-x', '1s')
    await eventually(async () => {
      await side.collect()
      assert.doesNotMatch(await side.unseen('leases', 'ls', '-q'), /short/)
    })
  })
  await verb('leases rm, rm --sync', async side => {
    await side.ok('leases', 'rm', 'l1')
    await side.ok('leases', 'rm', '--sync', 'l3', 'l4')
    assert.match((await side.tells('leases', 'rm', 'l1')).stderr, /not found/)
    for (const id of (await side.unseen('leases', 'ls', '-q')).trim().split('\n')) await side.unseen('leases', 'rm', id)
    await side.ok('leases', 'ls', '-q')
  })
}

async function namespaceVerbs(verb: PairVerb): Promise<void> {
  const made = (side: Side) => `${side.ctr.namespace}-made`
  await verb('namespaces create', async side => {
    await side.ok('namespaces', 'create', made(side), 'a=b')
    await side.fails('namespaces', 'create', made(side))
    await side.fails('namespaces', 'create', 'no/name')
    await side.fails('namespaces', 'create')
  })
  await verb('namespaces label', async side => {
    await side.ok('namespaces', 'label', made(side), 'c=d', 'e=f')
    await side.ok('namespaces', 'label', made(side), 'c=')
    await side.tells('namespaces', 'label', 'not-there', 'a=b')
  })
  await verb('namespaces ls, ls -q', async side => {
    const rows = (await side.unseen('namespaces', 'ls')).split('\n').filter(row => row.startsWith(made(side)))
    side.note(rows.join('\n'))
    assert.match(rows[0] ?? '', /a=b,e=f|e=f,a=b/)
    assert.match(await side.unseen('namespaces', 'ls', '-q'), new RegExp(`^${made(side)}$`, 'm'))
  })
  await verb('namespaces rm', async side => {
    await side.fails('namespaces', 'rm', side.ctr.namespace)
    await side.ok('namespaces', 'rm', made(side))
    await side.tells('namespaces', 'rm', made(side))
  })
  await verb('namespaces rm --cgroup', async side => {
    await side.ok('namespaces', 'create', made(side))
    await side.tells('namespaces', 'rm', '--cgroup', made(side))
  })
}

async function eventVerbs(verb: PairVerb): Promise<void> {
  await verb('events', async side => {
    const events = side.ctr.spawn('events')
    let output = ''
    events.stdout?.on('data', (chunk: Buffer) => {
      output += chunk.toString()
    })
    try {
      await eventually(async () => {
        await side.unseen('images', 'label', imageName, `n=${Date.now()}`)
        assert.match(output, /\/images\/update/)
      })
      await side.run(['--rm', '--null-io'], imageName, 'told', 'true')
      await side.unseen('leases', 'create', '--id', 'told')
      await side.unseen('leases', 'rm', 'told')
      await eventually(async () => assert.match(output, /\/containers\/delete/))
      // Of this container, in order; snapshots come and go when they like.
      const told = output.split('\n').filter(line => line.includes('"told"') && !line.includes('/snapshot/'))
      side.note(
        told
          .map(line =>
            line
              .replace(/^.*? \+0000 UTC /, '')
              .replace(/,"options":\{[^}]*\}/, '')
              .replaceAll(/"(pid|exited_at)":("[^"]*"|\d+)/g, '"$1"'),
          )
          .join('\n'),
      )
    } finally {
      events.kill('SIGKILL')
    }
  })
}

async function installVerbs(verb: PairVerb): Promise<void> {
  await verb('install --path, --libs, --replace', async side => {
    const name = 'x/tools:1'
    const tools = [
      { path: 'bin/tool', content: 'tool', mode: 0o755 },
      { path: 'lib/lib.so', content: 'lib' },
    ]
    await writeFile(
      join(side.folder, 'tools.tar'),
      layoutTar([{ image: makeImage({ layers: [busyboxLayer(), tools] }), name }]),
    )
    await side.unseen('images', 'import', join(side.folder, 'tools.tar'))
    const path = join(side.folder, 'opt')
    await mkdir(path, { recursive: true })
    await side.ok('install', '--path', path, name)
    assert.equal(await readFile(join(path, 'bin/tool'), 'utf8'), 'tool')
    await side.ok('install', '--libs', '--replace', '--path', path, name)
    side.note(
      (await readdir(path, { recursive: true }))
        .filter(file => !file.includes('/bin/'))
        .sort()
        .slice(-3)
        .join('\n'),
    )
    await side.fails('install', '--path', path, name)
    await side.ok('images', 'rm', '--sync', name)
  })
  await verb(
    'install where containerd would',
    async side => {
      await side.tells('install', imageName)
    },
    { differs: 'Debian’s containerd runs here without its opt plugin; we have none' },
  )
}

/** `ctr shim` looks for its socket where a containerd with default folders has it: only its words can be compared. */
async function shimVerbs(verb: PairVerb): Promise<void> {
  await verb('shim', async side => {
    await side.fails('shim', '--id', 'none', 'state')
    await side.fails('shim', 'state')
  })
  await verb('pprof', async () => {
    const { code } = await runCommand([debian.ctr, 'pprof', '--debug-socket', '/nonexistent', 'goroutines'])
    assert.equal(code, 1)
  })
}
