/** `ctr snapshots`, every command and flag of 1.6. */
import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { runCommand } from '../../daemon/run-command.ts'
import { testImage } from '../load-image.ts'
import { imageName } from './image-verbs.ts'
import type { PairVerb } from './pair.ts'
import type { Side } from './side.ts'

const tar = 'application/vnd.oci.image.layer.v1.tar'

export async function snapshotVerbs(verb: PairVerb): Promise<void> {
  await makingVerbs(verb)
  await diffVerbs(verb)
  await endVerbs(verb)
}

/** The image's topmost snapshot. */
async function top(side: Side): Promise<string> {
  const rows = (await side.unseen('snapshots', 'ls')).trim().split('\n').slice(1)
  return rows.map(row => row.split(/\s+/)).find(row => row.length >= 3 && row[0]?.startsWith('sha256:'))?.[0] ?? 'none'
}

async function makingVerbs(verb: PairVerb): Promise<void> {
  await verb('snapshots unpack', async side => {
    await side.unseen('images', 'rm', '--sync', imageName)
    await side.unseen('images', 'import', '--no-unpack', join(side.folder, 'busybox.tar'))
    await side.ok('snapshots', 'unpack', testImage().target.digest)
    await side.ok('snapshots', 'ls')
    await side.fails('snapshots', 'unpack', 'sha256:none')
  })
  await verb('snapshots prepare', async side => {
    await side.ok('snapshots', 'prepare', 'k0')
    await side.ok('snapshots', 'prepare', 'k1', await top(side))
    await side.fails('snapshots', 'prepare', 'k1')
    await side.fails('snapshots', 'prepare', 'k2', 'k1')
    await side.fails('snapshots', 'prepare', 'k2', 'none')
  })
  await verb(
    'snapshots prepare --target',
    async side => {
      assert.match(await side.ok('snapshots', 'prepare', '--target', '/t', 'k2', await top(side)), /^mount -t overlay/)
    },
    { differs: mountOptions },
  )
  await verb(
    'snapshots prepare --mounts',
    async side => {
      const mounts = JSON.parse(await side.ok('snapshots', 'prepare', '--mounts', 'k3', await top(side)))
      assert.equal(mounts[0].Type, 'overlay')
    },
    { differs: mountOptions },
  )
  await verb(
    'snapshots view, --target, --mounts',
    async side => {
      await side.ok('snapshots', 'view', 'v1', await top(side))
      assert.match(await side.ok('snapshots', 'view', '--target', '/t', 'v2', await top(side)), /lowerdir/)
      assert.equal(JSON.parse(await side.ok('snapshots', 'view', '--mounts', 'v3', await top(side)))[0].Type, 'overlay')
      await side.fails('snapshots', 'view', 'v1')
    },
    { differs: mountOptions },
  )
  await verb(
    'snapshots mounts',
    async side => {
      const command = await side.ok('snapshots', 'mounts', '/t', 'k1')
      const upper = /upperdir=([^,\s]+)/.exec(command)?.[1] ?? ''
      await writeFile(join(upper, 'added'), 'more')
    },
    { differs: mountOptions },
  )
  await verb(
    'snapshots mounts of none, of a committed one',
    async side => {
      await side.fails('snapshots', 'mounts', '/t', 'none')
      assert.match(await side.fails('snapshots', 'mounts', '/t', await top(side)), /not active/)
    },
    { differs: 'containerd names its backend’s key, we the caller’s' },
  )
  await verb('snapshots ls, info, tree', async side => {
    await side.ok('snapshots', 'ls')
    for (const key of ['k0', 'k1', 'v1', await top(side)]) await side.ok('snapshots', 'info', key)
    await side.fails('snapshots', 'info', 'none')
    await side.ok('snapshots', 'tree')
  })
  await verb('snapshots label', async side => {
    await side.ok('snapshots', 'label', 'k1', 'foo=bar', 'a=b')
    await side.ok('snapshots', 'label', 'k1', 'a=')
    assert.match(await side.ok('snapshots', 'info', 'k1'), /"foo": "bar"/)
    await side.fails('snapshots', 'label', 'none', 'a=b')
  })
  await verb('snapshots usage', async side => {
    assert.match(await side.ok('snapshots', 'usage', 'k1'), /^k1\s+\S+ KiB\s+2/m)
    await side.ok('snapshots', 'usage', '-b', 'k1', await top(side))
    await side.ok('snapshots', 'usage')
    await side.fails('snapshots', 'usage', 'none')
  })
}

const mountOptions = 'the options of a mount are the snapshotter’s own'

async function diffVerbs(verb: PairVerb): Promise<void> {
  /** Names, types and sizes in a diff, whatever it was compressed with. */
  const listing = async (side: Side, args: string[]) => {
    const file = join(side.folder, 'diff')
    const script = `${side.ctr.argv('snapshots', 'diff', ...args).join(' ')} > ${file}`
    const { code, stderr } = await runCommand(['sh', '-c', script])
    assert.equal(code, 0, `${side.name}: ${script}: ${stderr}`)
    const { stdout } = await runCommand(['tar', '-tvf', file])
    side.note(stdout.replaceAll(/\d{4}-\d\d-\d\d \d\d:\d\d/g, 'TIME'))
    return stdout
  }
  await verb('snapshots diff', async side => assert.match(await listing(side, ['k1']), /added/))
  await verb('snapshots diff --media-type', async side => {
    assert.match(await listing(side, ['--media-type', tar, 'k1']), /added/)
    await side.fails('snapshots', 'diff', '--media-type', 'application/nothing', 'k1')
  })
  await verb('snapshots diff of two', async side => {
    await listing(side, [await top(side), 'k1'])
    await side.fails('snapshots', 'diff', 'none', 'k1')
    await side.fails('snapshots', 'diff', 'none')
  })
  await verb('snapshots diff --keep --label --ref', async side => {
    await listing(side, ['--media-type', tar, '--keep', '--label', 'kept=yes', '--ref', 'diff-ref', 'k1'])
    await side.collect()
    assert.match(await side.unseen('content', 'ls', 'labels.kept==yes'), /kept=yes/)
    const digest = (await side.unseen('content', 'ls', '-q', 'labels.kept==yes')).trim()
    await side.unseen('content', 'rm', digest)
  })
}

async function endVerbs(verb: PairVerb): Promise<void> {
  await verb('snapshots commit', async side => {
    await side.ok('snapshots', 'commit', 'c1', 'k1')
    await side.fails('snapshots', 'commit', 'c1', 'k2')
    await side.fails('snapshots', 'commit', 'c2', 'none')
    await side.ok('snapshots', 'info', 'c1')
  })
  await verb(
    'snapshots commit of a view',
    async side => {
      // Nothing holds a view: no collection may be due.
      await side.collect()
      await side.ok('snapshots', 'view', 'v4', await top(side))
      assert.match(await side.fails('snapshots', 'commit', 'c2', 'v4'), /not active/)
    },
    { differs: 'containerd names its backend’s key, we the caller’s' },
  )
  await verb('snapshots rm', async side => {
    await side.ok('snapshots', 'prepare', 'k4', 'c1')
    await side.fails('snapshots', 'rm', 'c1')
    await side.ok('snapshots', 'rm', 'k4', 'c1', 'k0', 'k2', 'k3')
    await side.fails('snapshots', 'rm', 'k1')
    await side.collect()
    await side.ok('snapshots', 'ls')
  })
  await verb('snapshots --snapshotter', async side => {
    await side.ok('snapshots', '--snapshotter', 'overlayfs', 'ls')
    await side.fails('snapshots', '--snapshotter', 'nope', 'ls')
  })
  await verb('snapshots --snapshotter native', async side => {
    const native = (...args: string[]) => side.ok('snapshots', '--snapshotter', 'native', ...args)
    await native('prepare', 'n1')
    await native('commit', 'n2', 'n1')
    await native('prepare', 'n3', 'n2')
    await native('ls')
    await native('usage')
    await side.fails('snapshots', '--snapshotter', 'native', 'rm', 'n2')
    await native('rm', 'n3', 'n2')
    await native('ls')
    await side.ok('snapshots', 'ls')
  })
}
