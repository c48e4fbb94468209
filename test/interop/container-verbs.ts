/** Every verb of `ctr` that touches a running container, for any daemon and any runtime behind it. */
import assert from 'node:assert/strict'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { patience } from '../daemon/patience.ts'
import { runCommand } from '../daemon/run-command.ts'
import type { Ctr } from './ctr.ts'
import type { Scoreboard } from './scoreboard.ts'

export interface ContainerWorld {
  ctr: Ctr
  /** An image with busybox, unpacked. */
  image: string
  /** For files that containers are to see or to write. */
  folder: string
  /** Flags of `ctr run`: the runtime, the snapshotter. */
  flags: string[]
}

/** Names a verb and tries it. */
export type Try = (name: string, body: () => Promise<void>) => Promise<void>

export function trying(t: TestContext, board: Scoreboard, part: string): Try {
  return (name, body) => board.verb(t, part, name, body)
}

export async function containerVerbs(verb: Try, world: ContainerWorld): Promise<void> {
  await runVerbs(verb, world)
  await stdioVerbs(verb, world)
  await taskVerbs(verb, world)
}

let serial = 0
const freshId = () => `c${++serial}`

/** Output of `ctr run --rm` with these flags, of a container that ends with 0. */
async function runs({ ctr, image, flags }: ContainerWorld, more: string[], ...command: string[]): Promise<string> {
  return ctr.ok('run', '--rm', '--fifo-dir', ctr.fifos, ...flags, ...more, image, freshId(), ...command)
}

async function runVerbs(verb: Try, world: ContainerWorld): Promise<void> {
  const { ctr, image, folder, flags } = world
  const run = (more: string[], ...command: string[]) => runs(world, more, ...command)
  await verb('run --rm', async () => assert.equal(await run([], 'echo', 'hello'), 'hello\n'))
  await verb('run: exit code', async () => {
    const command = ['run', '--rm', '--fifo-dir', ctr.fifos, ...flags, image, freshId(), 'sh', '-c', 'exit 7']
    assert.equal((await ctr.outcome(command)).code, 7)
  })
  await verb('run: a command that is not there', async () => {
    const command = ['run', '--rm', '--fifo-dir', ctr.fifos, ...flags, image, freshId(), '/no/such/file']
    const { code, stderr } = await ctr.outcome(command)
    assert.notEqual(code, 0)
    assert.match(stderr, /\/no\/such\/file/)
    assert.doesNotMatch(await ctr.ok('containers', 'ls', '-q'), new RegExp(`c${serial}\n`))
  })
  await verb('run --null-io', async () => assert.equal(await run(['--null-io'], 'echo', 'unheard'), ''))
  await verb('run --net-host', async () => {
    const own = await readFile('/proc/net/dev', 'utf8')
    const names = (text: string) => [...text.matchAll(/^\s*(\S+):/gm)].map(match => match[1]).sort()
    assert.deepEqual(names(await run(['--net-host'], 'cat', '/proc/net/dev')), names(own))
  })
  await verb('run --env', async () => assert.equal(await run(['--env', 'A=b'], 'sh', '-c', 'echo $A'), 'b\n'))
  await verb('run --env-file', async () => {
    await writeFile(join(folder, 'env'), 'FROM_FILE=yes\n')
    assert.equal(await run(['--env-file', join(folder, 'env')], 'sh', '-c', 'echo $FROM_FILE'), 'yes\n')
  })
  await verb('run --mount', async () => {
    await mkdir(join(folder, 'mounted'), { recursive: true })
    await writeFile(join(folder, 'mounted', 'file'), 'seen')
    const mount = `type=bind,src=${join(folder, 'mounted')},dst=/mnt,options=rbind:ro`
    assert.equal(await run(['--mount', mount], 'cat', '/mnt/file'), 'seen')
  })
  await verb('run --cwd', async () => assert.equal(await run(['--cwd', '/etc'], 'pwd'), '/etc\n'))
  await verb('run --read-only', async () =>
    assert.equal(await run(['--read-only'], 'sh', '-c', 'touch /x 2>/dev/null || echo no'), 'no\n'),
  )
  await verb('run --cap-drop', async () => {
    const set = async (...more: string[]) => BigInt(`0x${await run(more, 'sh', '-c', capabilities)}`)
    assert.equal((await set()) & 1n, 1n)
    assert.equal((await set('--cap-drop', 'CAP_CHOWN')) & 1n, 0n)
  })
  await verb('run --seccomp', async () =>
    assert.match(await run(['--seccomp'], 'cat', '/proc/self/status'), /^Seccomp:\s*2$/m),
  )
  await verb('run --device', async () =>
    assert.equal(
      await run(['--device', '/dev/loop-control'], 'sh', '-c', 'test -c /dev/loop-control && echo is'),
      'is\n',
    ),
  )
  await verb('run --with-ns', async () =>
    assert.equal(
      await run(['--with-ns', `uts:/proc/${process.pid}/ns/uts`], 'hostname'),
      await readFile('/proc/sys/kernel/hostname', 'utf8'),
    ),
  )
  await verb('run --rootfs', async () => {
    const root = join(folder, 'rootfs')
    for (const name of ['bin', 'dev', 'proc', 'sys', 'run', 'etc']) await mkdir(join(root, name), { recursive: true })
    await runCommand(['cp', '/bin/busybox', join(root, 'bin', 'busybox')])
    const output = await ctr.ok(
      ...[
        'run',
        '--rm',
        '--fifo-dir',
        ctr.fifos,
        ...flags,
        '--rootfs',
        root,
        freshId(),
        '/bin/busybox',
        'echo',
        'mine',
      ],
    )
    assert.equal(output, 'mine\n')
  })
}

const capabilities = 'while read k v; do [ $k = CapEff: ] && echo $v; done < /proc/self/status; true'

async function stdioVerbs(verb: Try, world: ContainerWorld): Promise<void> {
  const { ctr, image, folder, flags } = world
  await verb('run: stdin', async () => {
    // ctr forgets an end of its input that comes before the task is made, under containerd too: so it comes late.
    const argv = ctr.argv('run', '--rm', '--fifo-dir', ctr.fifos, ...flags, image, freshId(), 'cat')
    const script = `(echo line; sleep ${2 * patience}) | timeout --signal=KILL ${30 * patience} ${argv.join(' ')}`
    assert.equal((await runCommand(['sh', '-c', script])).stdout, 'line\n')
  })
  await verb('run: a megabyte of output', async () => {
    const output = await runs(
      world,
      [],
      'sh',
      '-c',
      'i=0; while [ $i -lt 16 ]; do head -c 65536 /dev/zero; i=$((i+1)); done',
    )
    assert.equal(output.length, 16 * 65_536)
  })
  await verb('run -t', async () => {
    const command = ['sh', '-c', 'tty; exit 3']
    const outcome = await ctr.onTerminal(
      'run',
      '--rm',
      '-t',
      '--fifo-dir',
      ctr.fifos,
      ...flags,
      image,
      freshId(),
      ...command,
    )
    assert.match(outcome.stdout, /\/dev\/pts\/0/)
    assert.equal(outcome.code, 3)
  })
  for (const scheme of ['file', 'binary'] as const)
    await verb(`run --log-uri ${scheme}://`, async () => {
      const log = join(folder, `log-${freshId()}`)
      const logger = join(folder, 'logger')
      await writeFile(logger, `#!/bin/sh\nexec 5>&-\ncat <&3 > "$2"\n`, { mode: 0o755 })
      const uri = scheme === 'file' ? `file://${log}` : `binary://${logger}?to=${encodeURIComponent(log)}`
      await ctr.ok('run', '-d', '--log-uri', uri, ...flags, image, `c${serial}`, 'echo', 'logged')
      await eventually(async () => assert.equal(await readFile(log, 'utf8'), 'logged\n'))
      await eventually(async () => assert.match(await ctr.ok('tasks', 'ls'), new RegExp(`c${serial} .*STOPPED`)))
      await ctr.ok('tasks', 'rm', `c${serial}`)
      await ctr.ok('containers', 'rm', `c${serial}`)
    })
  await verb('tasks attach', async () => {
    const id = freshId()
    const script = 'read line; echo got $line; exit 5'
    await ctr.ok('run', '-d', '--fifo-dir', ctr.fifos, ...flags, image, id, 'sh', '-c', script)
    const attached = await ctr.outcome(['tasks', 'attach', id], { stdin: 'word\n' })
    assert.equal(attached.stdout, 'got word\n')
    assert.equal(attached.code, 5)
    await ctr.outcome(['tasks', 'rm', id])
    await ctr.ok('containers', 'rm', id)
  })
}

async function taskVerbs(verb: Try, world: ContainerWorld): Promise<void> {
  const { ctr, image, folder, flags } = world
  const id = freshId()
  const pidFile = join(folder, `pid-${id}`)
  const status = async () => new RegExp(`^${id}\\s+(\\d+)\\s+(\\S+)`, 'm').exec(await ctr.ok('tasks', 'ls'))
  await verb('run -d --label --pid-file --memory-limit', async () => {
    const more = ['--label', 'l=1', '--pid-file', pidFile, '--memory-limit', `${64 << 20}`]
    await ctr.ok('run', '-d', '--null-io', ...flags, ...more, image, id, 'sleep', '1000')
    assert.equal((await status())?.[1], await readFile(pidFile, 'utf8'))
    assert.match(await ctr.ok('containers', 'info', id), /"l": "1"/)
  })
  await verb('tasks ls', async () => assert.equal((await status())?.[2], 'RUNNING'))
  await verb('tasks ps', async () =>
    assert.match(await ctr.ok('tasks', 'ps', id), new RegExp(`^${await readFile(pidFile, 'utf8')}\\s`, 'm')),
  )
  await verb('tasks metrics', async () => {
    const metrics = await ctr.ok('tasks', 'metrics', id)
    assert.match(metrics, /^memory\.(limit_in_bytes|limit|max)\s+67108864/m)
    assert.match(metrics, /^pids\.current\s+1\s/m)
  })
  await verb('tasks exec', async () => {
    const { code, stdout } = await execute('sh', '-c', 'echo within; exit 4')
    assert.equal(stdout, 'within\n')
    assert.equal(code, 4)
  })
  await verb('tasks exec --cwd --user', async () =>
    assert.equal((await execute('--cwd', '/etc', '--user', '65534', 'sh', '-c', 'pwd; id -u')).stdout, '/etc\n65534\n'),
  )
  await verb('tasks exec -t', async () => {
    const command = ['tasks', 'exec', '-t', '--exec-id', freshId(), '--fifo-dir', ctr.fifos, id]
    const outcome = await ctr.onTerminal(...command, 'sh', '-c', 'sleep 0.2; tty; exit 6')
    assert.match(outcome.stdout, /\/dev\/pts\/0/)
    assert.equal(outcome.code, 6)
  })
  await verb('tasks exec -d, tasks kill --exec-id', async () => {
    const exec = freshId()
    await ctr.ok('tasks', 'exec', '-d', '--exec-id', exec, '--fifo-dir', ctr.fifos, id, 'sleep', '1000')
    assert.match(await ctr.ok('tasks', 'ps', id), new RegExp(exec))
    await ctr.ok('tasks', 'kill', '--signal', 'SIGKILL', '--exec-id', exec, id)
    await eventually(async () => assert.equal((await ctr.ok('tasks', 'ps', id)).trim().split('\n').length, 2))
    await ctr.outcome(['tasks', 'rm', '--exec-id', exec, id])
  })
  await verb('tasks pause', async () => {
    await ctr.ok('tasks', 'pause', id)
    assert.equal((await status())?.[2], 'PAUSED')
  })
  await verb('tasks resume', async () => {
    await ctr.ok('tasks', 'resume', id)
    assert.equal((await status())?.[2], 'RUNNING')
  })
  await verb('tasks rm of a running task', async () =>
    assert.match((await ctr.outcome(['tasks', 'rm', id])).stderr, /must be stopped|failed precondition/),
  )
  await verb('containers rm of a running container', async () =>
    assert.match((await ctr.outcome(['containers', 'rm', id])).stderr, /non stopped container/),
  )
  await verb('tasks kill', async () => {
    await ctr.ok('tasks', 'kill', '--signal', 'SIGKILL', id)
    await eventually(async () => assert.equal((await status())?.[2], 'STOPPED'))
  })
  await verb('tasks rm', async () => {
    const outcome = await ctr.outcome(['tasks', 'rm', id])
    assert.match(outcome.stderr, /exit code 137/)
    assert.equal(await status(), null)
  })
  await verb('containers rm', async () => {
    await ctr.ok('containers', 'rm', id)
    assert.doesNotMatch(await ctr.ok('containers', 'ls', '-q'), new RegExp(`^${id}$`, 'm'))
  })
  await verb('containers create, tasks start', async () => {
    const made = freshId()
    await ctr.ok('containers', 'create', ...flags, image, made, 'cat', '/etc/motd')
    const outcome = await ctr.outcome(['tasks', 'start', '--fifo-dir', ctr.fifos, made])
    assert.equal(outcome.stdout, 'hi\n')
    assert.equal(outcome.code, 0)
    await ctr.ok('containers', 'rm', made)
  })

  function execute(...args: string[]) {
    const split = args.findIndex((arg, at) => !arg.startsWith('--') && !args[at - 1]?.startsWith('--'))
    const [options, command] = [args.slice(0, split), args.slice(split)]
    const fixed = ['--exec-id', freshId(), '--fifo-dir', ctr.fifos]
    return ctr.outcome(['tasks', 'exec', ...fixed, ...options, id, ...command])
  }
}

/** Tries until it does not throw; throws what it threw last after 10 s (times patience). */
export async function eventually(body: () => Promise<void>): Promise<void> {
  for (const deadline = Date.now() + 10_000 * patience; ; ) {
    try {
      await body()
      return
    } catch (error) {
      if (Date.now() > deadline) throw error
      await sleep(50)
    }
  }
}
