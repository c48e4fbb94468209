/** `ctr run`: every flag of 1.6 that needs nothing the machine lacks. */
import assert from 'node:assert/strict'
import { chmod, mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { runCommand } from '../../daemon/run-command.ts'
import { eventually } from '../container-verbs.ts'
import { removeCgroup } from '../ctr.ts'
import { imageName } from './image-verbs.ts'
import type { PairVerb } from './pair.ts'
import type { Side } from './side.ts'

let serial = 0
const fresh = () => `r${++serial}`

export async function runVerbs(verb: PairVerb): Promise<void> {
  await verb('images rm, import for what is run', async side => {
    await side.unseen('images', 'rm', '--sync', ...(await side.unseen('images', 'ls', '-q')).trim().split('\n'))
    await side.unseen('images', 'import', join(side.folder, 'busybox.tar'))
  })
  await processVerbs(verb)
  await rootVerbs(verb)
  await privilegeVerbs(verb)
  await resourceVerbs(verb)
  await wordVerbs(verb)
}

/** Runs `script` in a shell with these flags, on both, to its end. */
function shell(verb: PairVerb, flags: string[], script: string, expected: RegExp | string) {
  const id = fresh()
  return verb(`run ${flags.join(' ')}`, async side => {
    const output = await side.run(['--rm', ...flags], imageName, id, 'sh', '-c', script)
    if (typeof expected === 'string') assert.equal(output, expected)
    else assert.match(output, expected)
  })
}

async function processVerbs(verb: PairVerb): Promise<void> {
  await shell(verb, [], 'echo hello; echo $PATH; pwd; id; hostname', /^hello\n\/bin\n\/\nuid=0/)
  await shell(verb, ['--env', 'A=b', '--env', 'PATH=/bin:/x'], 'env | while read l; do echo $l; done', /A=b/)
  await verb('run --env-file', async side => {
    await writeFile(join(side.folder, 'env'), 'FROM_FILE=yes\n# a comment\nTWO=2\n')
    const flags = ['--rm', '--env-file', join(side.folder, 'env')]
    assert.equal(await side.run(flags, imageName, 'env', 'sh', '-c', 'echo $FROM_FILE $TWO'), 'yes 2\n')
  })
  await shell(verb, ['--cwd', '/etc'], 'pwd', '/etc\n')
  await shell(verb, ['--null-io'], 'echo unheard', '')
  await verb('run: exit code', async side => {
    await side.fails(...side.runArguments(['--rm'], imageName, 'code', 'sh', '-c', 'exit 7'))
    await side.fails(...side.runArguments(['--rm'], imageName, 'code', 'sh', '-c', 'exit 255'))
  })
  await verb('run: the image’s command', async side => {
    await side.run(['--rm', '--null-io'], imageName, 'default')
  })
  await verb('run of an image that is not there', async side => {
    assert.match(await side.fails(...side.runArguments(['--rm'], 'x/none:1', 'c', 'true')), /not found/)
  })
  await verb('run of an id that is taken', async side => {
    await side.run(['--null-io', '-d'], imageName, 'taken', 'sleep', '1000')
    await side.fails(...side.runArguments(['--rm'], imageName, 'taken', 'true'))
    await side.unseen('tasks', 'rm', '--force', 'taken').catch(() => {})
    await side.ok('containers', 'rm', 'taken')
  })
  await verb('run of a bad id', async side => {
    await side.fails(...side.runArguments(['--rm'], imageName, 'bad/id', 'true'))
    await side.fails(...side.runArguments(['--rm'], imageName, 'x'.repeat(77), 'true'))
  })
  await verb(
    'run of a command that is not there',
    async side => {
      assert.match(await side.fails(...side.runArguments(['--rm'], imageName, 'c', '/no/such/file')), /no\/such\/file/)
      await side.ok('containers', 'ls', '-q')
      await side.ok('snapshots', 'ls')
    },
    { differs: 'the words are the runtime’s own' },
  )
  await verb('run --pid-file', async side => {
    const file = join(side.folder, 'pid')
    await side.run(['-d', '--null-io', '--pid-file', file], imageName, 'pid', 'sleep', '1000')
    assert.match(await side.unseen('tasks', 'ls'), new RegExp(`^pid\\s+${await readFile(file, 'utf8')}\\s`, 'm'))
    await side.unseen('tasks', 'rm', '--force', 'pid').catch(() => {})
    await side.ok('containers', 'rm', 'pid')
  })
  await verb('run -t', async side => {
    const { stdout, code } = await side.ctr.onTerminal(
      ...side.runArguments(['--rm', '-t'], imageName, 't', 'sh', '-c', 'sleep 0.3; echo $TERM; exit 3'),
    )
    assert.equal(code, 3)
    side.note(stdout)
  })
}

async function rootVerbs(verb: PairVerb): Promise<void> {
  await shell(verb, ['--read-only'], 'touch /x 2>/dev/null || echo no', 'no\n')
  await verb('run --mount', async side => {
    const source = join(side.folder, 'mounted')
    await mkdir(source, { recursive: true })
    await writeFile(join(source, 'file'), 'seen')
    const bind = `type=bind,src=${source},dst=/mnt,options=rbind:ro`
    const script = 'cat /mnt/file; touch /mnt/x 2>/dev/null || echo read-only; touch /t/y && stat -f -c %T /t'
    const mounts = ['--mount', bind, '--mount', 'type=tmpfs,src=tmpfs,dst=/t,options=size=64k']
    assert.equal(await side.run(['--rm', ...mounts], imageName, 'mount', 'sh', '-c', script), 'seenread-only\ntmpfs\n')
    await side.fails(...side.runArguments(['--rm', '--mount', 'nonsense'], imageName, 'mount', 'true'))
  })
  await verb('run --rootfs', async side => {
    const root = join(side.folder, 'rootfs')
    for (const name of ['bin', 'dev', 'proc', 'sys', 'run', 'etc']) await mkdir(join(root, name), { recursive: true })
    await runCommand(['cp', '/bin/busybox', join(root, 'bin', 'busybox')])
    assert.equal(await side.run(['--rm', '--rootfs'], root, 'rootfs', '/bin/busybox', 'echo', 'mine'), 'mine\n')
  })
  await verb('run --config', async side => {
    const config = join(side.folder, 'config.json')
    const root = join(side.folder, 'rootfs')
    await writeFile(config, JSON.stringify(configOf(root, `/${side.ctr.namespace}/from-config`)))
    assert.match(await side.run(['--rm', '--config', config], 'from-config'), /^from config\nof-config\n/)
  })
  await shell(verb, ['--no-pivot'], 'echo in', 'in\n')
  await verb(
    'run --rootfs-propagation',
    async side => {
      const script =
        'while read i p d r at o rest; do [ $at = / ] && echo $rest | grep -o "^[a-z]*"; done < /proc/self/mountinfo; true'
      const flags = ['--rm', '--rootfs-propagation', 'rshared']
      await side.run(flags, imageName, 'shared', 'sh', '-c', script)
    },
    { differs: 'runc leaves a container’s root private all the same, ours shares it' },
  )
  await verb('run --snapshotter, --snapshotter-label', async side => {
    const flags = ['-d', '--null-io', '--snapshotter', 'overlayfs', '--snapshotter-label', 'a.b/c=d']
    await side.run(flags, imageName, 'labelled', 'true')
    assert.match(await side.ok('snapshots', 'info', 'labelled'), /"a.b\/c": "d"/)
    await eventually(async () => void (await side.unseen('tasks', 'rm', 'labelled')))
    await side.ok('containers', 'rm', 'labelled')
    await side.fails(...side.runArguments(['--snapshotter', 'nope'], imageName, 'c', 'true'))
  })
  await verb('run --platform', async side => {
    await side.run(['--rm', '--platform', 'linux/amd64'], imageName, 'platform', 'true')
    await side.tells(...side.runArguments(['--rm', '--platform', 'linux/s390x'], imageName, 'platform', 'true'))
  })
  for (const [maps, title] of [
    [[], ''],
    [['--remap-labels'], ' --remap-labels'],
  ] as const)
    await verb(`run --uidmap --gidmap${title}`, async side => {
      // A user of a user namespace has to get as far as the snapshots.
      const map = ['--uidmap', '0:100000:65536', '--gidmap', '0:100000:65536', ...maps]
      const script = 'read m < /proc/self/uid_map; echo $m; id -u; stat -c %u /bin/busybox'
      await chmod(side.folder, 0o711)
      const { code, stdout, stderr } = await side.ctr.outcome(
        side.runArguments(['--rm', ...map], imageName, 'mapped', 'sh', '-c', script),
      )
      side.note(`${code} ${stdout}`)
      // No snapshotter here maps ids: with --remap-labels neither daemon gets a root it may write to.
      if (maps.length === 0) assert.equal(stdout, '0 100000 65536\n0\n0\n', stderr)
    })
}

function configOf(root: string, cgroupsPath: string) {
  return {
    ociVersion: '1.0.2',
    root: { path: root },
    hostname: 'of-config',
    process: {
      args: ['/bin/busybox', 'sh', '-c', 'echo from config; busybox hostname; busybox id -u'],
      cwd: '/',
      env: ['PATH=/bin'],
      user: { uid: 1000, gid: 1000 },
    },
    mounts: [{ destination: '/proc', type: 'proc', source: 'proc' }],
    linux: { cgroupsPath, namespaces: ['pid', 'ipc', 'uts', 'mount', 'network'].map(type => ({ type })) },
  }
}

const statusLine = (name: string) => `while read k v; do [ $k = ${name}: ] && echo $v; done < /proc/self/status; true`

async function privilegeVerbs(verb: PairVerb): Promise<void> {
  await shell(verb, ['--cap-add', 'CAP_SYS_TIME'], statusLine('CapEff'), /^[0-9a-f]{16}\n$/)
  await shell(verb, ['--cap-drop', 'CAP_CHOWN'], statusLine('CapEff'), /^[0-9a-f]{15}[02468ace]\n$/)
  await shell(
    verb,
    ['--privileged'],
    `${statusLine('CapEff')}; grep -c ' /proc/' /proc/self/mountinfo; test -w /proc/sys/kernel/hostname && echo may; ls /dev`,
    /may/,
  )
  await verb(
    'run --cap-add of none',
    async side => {
      await side.fails(...side.runArguments(['--rm', '--cap-add', 'NONSENSE'], imageName, 'c', 'true'))
    },
    { differs: 'runc refuses in words of its own' },
  )
  await shell(verb, ['--allow-new-privs'], statusLine('NoNewPrivs'), '0\n')
  await shell(verb, [], `${statusLine('NoNewPrivs')}; ${statusLine('Seccomp')}`, '1\n0\n')
  await shell(verb, ['--seccomp'], statusLine('Seccomp'), '2\n')
  await verb('run --seccomp-profile', async side => {
    const profile = join(side.folder, 'seccomp.json')
    const rule = { names: ['mkdir', 'mkdirat'], action: 'SCMP_ACT_ERRNO' }
    await writeFile(profile, JSON.stringify({ defaultAction: 'SCMP_ACT_ALLOW', syscalls: [rule] }))
    const flags = ['--rm', '--seccomp', '--seccomp-profile', profile]
    const output = await side.run(flags, imageName, 'profile', 'sh', '-c', 'mkdir /x 2>/dev/null || echo refused')
    assert.equal(output, 'refused\n')
  })
  await shell(verb, ['--device', '/dev/loop-control'], 'stat -c "%F %t %T" /dev/loop-control', /character special/)
  await shell(verb, ['--device', '/dev/net'], 'ls /dev/net', 'tun\n')
  await verb('run --with-ns', async side => {
    const flags = [
      '--rm',
      '--with-ns',
      `uts:/proc/${process.pid}/ns/uts`,
      '--with-ns',
      `network:/proc/${process.pid}/ns/net`,
    ]
    const own = await readFile('/proc/sys/kernel/hostname', 'utf8')
    assert.equal(await side.run(flags, imageName, 'joined', 'hostname'), own)
  })
  await shell(
    verb,
    ['--net-host'],
    'ls /sys/class/net; ls -l /etc/resolv.conf | grep -c resolv; hostname',
    /^lo\n|\nlo\n/,
  )
}

async function resourceVerbs(verb: PairVerb): Promise<void> {
  const inCgroup = (flags: string[], file: string, expected: RegExp) =>
    verb(`run ${flags.join(' ')}`, async side => {
      const id = `limited-${flags.length}-${flags[0]?.slice(2)}`
      await side.run(['-d', '--null-io', ...flags], imageName, id, 'sleep', '1000')
      const [controller = '', name = ''] = file.split('/')
      const path = await cgroupFile(side, id, controller, name)
      const value = await readFile(path, 'utf8')
      side.note(`${file} ${value}`)
      assert.match(value, expected)
      await side.unseen('tasks', 'rm', '--force', id).catch(() => {})
      await side.ok('containers', 'rm', id)
    })
  await inCgroup(['--memory-limit', `${64 << 20}`], 'memory/memory.limit_in_bytes', /^67108864$/m)
  await inCgroup(['--cpus', '0.5'], 'cpu/cpu.cfs_quota_us', /^50000$/m)
  await inCgroup(['--cpu-quota', '20000', '--cpu-period', '50000'], 'cpu/cpu.cfs_period_us', /^50000$/m)
  await inCgroup(['--cpu-shares', '512'], 'cpu/cpu.shares', /^512$/m)
  await verb('run --cpus with --cpu-quota', async side => {
    await side.fails(...side.runArguments(['--rm', '--cpus', '1', '--cpu-quota', '1000'], imageName, 'c', 'true'))
  })
  await verb('run --cgroup', async side => {
    const cgroup = `/${side.ctr.namespace}/elsewhere`
    const flags = ['--rm', '--cgroup', cgroup]
    await side.run(flags, imageName, 'grouped', 'sh', '-c', 'grep -c elsewhere /proc/self/cgroup')
    await side.run(
      ['--rm', '--cgroup', ''],
      imageName,
      'grouped',
      'sh',
      '-c',
      'grep -c grouped /proc/self/cgroup || true',
    )
    await removeCgroup(`${side.ctr.namespace}/elsewhere`)
  })
}

async function cgroupFile(side: Side, id: string, controller: string, name: string): Promise<string> {
  const pid = new RegExp(`^${id}\\s+(\\d+)\\s`, 'm').exec(await side.unseen('tasks', 'ls'))?.[1]
  const lines = (await readFile(`/proc/${pid}/cgroup`, 'utf8')).split('\n').map(line => line.split(':'))
  const path = lines.find(([, controllers]) => controllers?.split(',').includes(controller))?.[2] ?? ''
  const mounts = (await readFile('/proc/self/mountinfo', 'utf8')).split('\n').map(line => line.split(' '))
  const mount = mounts.find(fields => fields.at(-3) === 'cgroup' && fields.at(-1)?.split(',').includes(controller))
  return join(mount?.[4] ?? '/sys/fs/cgroup', path, name)
}

async function wordVerbs(verb: PairVerb): Promise<void> {
  await verb('run --label --annotation', async side => {
    await side.run(
      ['-d', '--null-io', '--label', 'l=1', '--annotation', 'an.no=tated'],
      imageName,
      'worded',
      'sleep',
      '1000',
    )
    const { Labels, Spec } = JSON.parse(await side.unseen('containers', 'info', 'worded'))
    assert.equal(Labels.l, '1')
    assert.deepEqual(Spec.annotations, { 'an.no': 'tated', l: '1' })
    await side.unseen('tasks', 'rm', '--force', 'worded').catch(() => {})
    await side.ok('containers', 'rm', 'worded')
  })
  await verb('run --runc-binary, --runc-root', async side => {
    // runc's own, whatever the runtime: both daemons hand them to Debian's shim.
    const [binary, root] = [join(side.folder, 'my-runc'), join(side.folder, 'runc-root')]
    await writeFile(binary, `#!/bin/sh\necho "$@" >> ${side.folder}/runc-calls\nexec runc "$@"\n`, { mode: 0o755 })
    const flags = ['--rm', '--runtime', 'io.containerd.runc.v2', '--runc-binary', binary, '--runc-root', root]
    assert.equal(await side.run(flags, imageName, 'runc', 'echo', 'hi'), 'hi\n')
    assert.match(await readFile(join(side.folder, 'runc-calls'), 'utf8'), new RegExp(`--root ${root}/\\S+ .*create`))
  })
  await verb('run --runtime that is not there', async side => {
    const { code, stderr } = await side.ctr.outcome([
      'run',
      '--rm',
      '--null-io',
      '--runtime',
      'io.containerd.nope.v9',
      imageName,
      'c',
      'true',
    ])
    assert.equal(code, 1)
    assert.match(stderr, /io\.containerd\.nope\.v9|containerd-shim-nope-v9/)
    await side.ok('containers', 'ls', '-q')
  })
  await verb('run --apparmor-profile', async side => {
    await side.ctr.outcome(side.runArguments(['--rm', '--apparmor-profile', 'none-such'], imageName, 'aa', 'true'))
    await side.ok('containers', 'ls', '-q')
  })
}
