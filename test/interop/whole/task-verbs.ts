/** `ctr tasks` and `ctr containers`, every command and flag of 1.6. */
import assert from 'node:assert/strict'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { eventually } from '../container-verbs.ts'
import { imageName } from './image-verbs.ts'
import type { PairVerb } from './pair.ts'
import type { Side } from './side.ts'

export async function taskVerbs(verb: PairVerb): Promise<void> {
  await verb('tasks of none', async side => {
    await side.ok('tasks', 'ls')
    for (const command of ['start', 'kill', 'pause', 'resume', 'ps', 'metrics', 'attach', 'rm'])
      await side.tells('tasks', command, 'none')
    await side.tells('tasks', 'exec', '--exec-id', 'e', 'none', 'true')
  })
  await startVerbs(verb)
  await verb('run -d, tasks ls, ls -q', async side => {
    await side.run(['-d', '--null-io'], imageName, 'task', 'sh', '-c', 'trap "exit 5" USR1; sleep 1000 & wait')
    await side.ok('tasks', 'ls', '-q')
    assert.equal(await statusOf(side, 'task'), 'RUNNING')
  })
  await execVerbs(verb)
  await lookVerbs(verb)
  await endVerbs(verb)
}

async function statusOf(side: Side, id: string): Promise<string | undefined> {
  const status = new RegExp(`^${id}\\s+\\d+\\s+(\\S+)`, 'm').exec(await side.unseen('tasks', 'ls'))?.[1]
  side.note(`${id} ${status}`)
  return status
}

const becomes = (side: Side, id: string, status: string) =>
  eventually(async () => assert.match(await side.unseen('tasks', 'ls'), new RegExp(`^${id}\\s+\\d+\\s+${status}`, 'm')))

const create = (side: Side, flags: string[], id: string, ...command: string[]) =>
  side.ok('containers', 'create', '--runtime', side.runtime, ...flags, imageName, id, ...command)

async function startVerbs(verb: PairVerb): Promise<void> {
  await verb('tasks start', async side => {
    await create(side, [], 'made', 'cat', '/etc/motd', '/none')
    const { stdout, code } = await side.tells('tasks', 'start', '--fifo-dir', side.ctr.fifos, 'made')
    assert.deepEqual([stdout, code], ['hi\n', 1])
    assert.match((await side.tells('tasks', 'start', 'none')).stderr, /not found/)
  })
  await verb('tasks start --null-io', async side => {
    const { stdout, code } = await side.tells('tasks', 'start', '--null-io', 'made')
    assert.deepEqual([stdout, code], ['', 1])
  })
  await verb('tasks start --detach --pid-file', async side => {
    const file = join(side.folder, 'start-pid')
    await side.ok('tasks', 'start', '--detach', '--null-io', '--pid-file', file, 'made')
    await becomes(side, 'made', 'STOPPED')
    assert.match(await side.unseen('tasks', 'ls'), new RegExp(`^made\\s+${await readFile(file, 'utf8')}\\s`, 'm'))
    await side.tells('tasks', 'rm', 'made')
  })
  await verb('tasks start --log-uri', async side => {
    const log = join(side.folder, 'start-log')
    await side.ok('tasks', 'start', '--detach', '--log-uri', `file://${log}`, 'made')
    await becomes(side, 'made', 'STOPPED')
    await eventually(async () => assert.match(await readFile(log, 'utf8'), /^hi\n/m))
    await side.tells('tasks', 'rm', 'made')
    await side.ok('containers', 'rm', 'made')
  })
  await verb('tasks start twice', async side => {
    await create(side, [], 'twice', 'sleep', '1000')
    await side.ok('tasks', 'start', '--detach', '--null-io', 'twice')
    assert.match((await side.tells('tasks', 'start', '--null-io', 'twice')).stderr, /already exists/)
    await side.tells('tasks', 'rm', '--force', 'twice')
    await side.ok('containers', 'rm', 'twice')
  })
}

async function execVerbs(verb: PairVerb): Promise<void> {
  let serial = 0
  const execs = (title: string, flags: string[], command: string[], stdout: string, code = 0) => {
    const id = `e${++serial}`
    return verb(`tasks exec ${title}`, async side => {
      const fixed = ['--exec-id', id, '--fifo-dir', side.ctr.fifos]
      const outcome = await side.tells('tasks', 'exec', ...fixed, ...flags, 'task', ...command)
      assert.deepEqual([outcome.stdout, outcome.code], [stdout, code], outcome.stderr)
    })
  }
  await execs('', [], ['echo', 'within'], 'within\n')
  await execs('with an exit code', [], ['sh', '-c', 'exit 4'], '', 4)
  await execs('--cwd', ['--cwd', '/etc'], ['pwd'], '/etc\n')
  await execs('--user', ['--user', 'nobody'], ['id', '-u'], '65534\n')
  await execs('--user uid:gid', ['--user', '7:8'], ['sh', '-c', 'id -u; id -g'], '7\n8\n')
  await verb(
    'tasks exec of a command that is not there',
    async side => {
      const { stderr, code } = await side.tells(
        'tasks',
        'exec',
        '--exec-id',
        'no',
        '--fifo-dir',
        side.ctr.fifos,
        'task',
        '/no/such',
      )
      assert.notEqual(code, 0)
      assert.match(stderr, /no\/such|executable file/)
    },
    { differs: 'the words are the runtime’s own' },
  )
  await verb('tasks exec -t', async side => {
    const command = [
      'tasks',
      'exec',
      '-t',
      '--exec-id',
      'tty',
      '--fifo-dir',
      side.ctr.fifos,
      'task',
      'sh',
      '-c',
      'sleep 0.2; tty; exit 6',
    ]
    const { stdout, code } = await side.ctr.onTerminal(...command)
    side.note(stdout)
    assert.match(stdout, /\/dev\/pts\/0/)
    assert.equal(code, 6)
  })
  await verb('tasks exec --log-uri', async side => {
    const log = join(side.folder, 'exec-log')
    await side.tells('tasks', 'exec', '--exec-id', 'log', '--log-uri', `file://${log}`, 'task', 'echo', 'logged')
    await eventually(async () => assert.equal(await readFile(log, 'utf8'), 'logged\n'))
  })
  await verb('tasks exec --detach, kill --exec-id, rm --exec-id', async side => {
    await side.ok('tasks', 'exec', '-d', '--exec-id', 'long', '--fifo-dir', side.ctr.fifos, 'task', 'sleep', '1000')
    assert.match(await side.unseen('tasks', 'ps', 'task'), /long/)
    assert.match(
      (await side.tells('tasks', 'exec', '-d', '--exec-id', 'long', 'task', 'true')).stderr,
      /already exists/,
    )
    await side.tells('tasks', 'rm', '--exec-id', 'long', 'task')
    await side.ok('tasks', 'kill', '--signal', 'SIGKILL', '--exec-id', 'long', 'task')
    await eventually(async () =>
      assert.match((await side.ctr.outcome(['tasks', 'kill', '--exec-id', 'long', 'task'])).stderr, /finished/),
    )
    await side.tells('tasks', 'rm', '--exec-id', 'long', 'task')
    await side.tells('tasks', 'kill', '--exec-id', 'long', 'task')
    await side.tells('tasks', 'rm', '--exec-id', 'long', 'task')
  })
  await verb('tasks exec --detach, rm --force --exec-id', async side => {
    await side.ok('tasks', 'exec', '-d', '--exec-id', 'forced', '--fifo-dir', side.ctr.fifos, 'task', 'sleep', '1000')
    await side.tells('tasks', 'rm', '--force', '--exec-id', 'forced', 'task')
    assert.doesNotMatch(await side.unseen('tasks', 'ps', 'task'), /forced/)
  })
}

async function lookVerbs(verb: PairVerb): Promise<void> {
  await verb('tasks ps', async side => {
    const rows = (await side.unseen('tasks', 'ps', 'task')).trim().split('\n')
    side.note(
      `${rows[0]} ${rows.length} ${rows
        .slice(1)
        .map(row => row.replace(/^\d+/, 'PID'))
        .sort()}`,
    )
  })
  await verb('tasks metrics', async side => {
    const rows = (await side.unseen('tasks', 'metrics', 'task'))
      .trim()
      .split('\n')
      .map(row => row.split(/\s+/)[0])
    side.note(rows.join('\n'))
  })
  await verb('tasks metrics --format json', async side => {
    const metrics = JSON.parse(await side.unseen('tasks', 'metrics', '--format', 'json', 'task'))
    side.note(Object.keys(metrics).sort().join('\n'))
    assert.equal(metrics.pids.current, 2)
  })
  await verb(
    'tasks pause, resume',
    async side => {
      await side.ok('tasks', 'pause', 'task')
      await statusOf(side, 'task')
      await side.tells('tasks', 'pause', 'task')
      await side.tells('tasks', 'exec', '--exec-id', 'frozen', 'task', 'true')
      await side.ok('tasks', 'resume', 'task')
      assert.equal(await statusOf(side, 'task'), 'RUNNING')
      await side.tells('tasks', 'resume', 'task')
    },
    { differs: 'the words of what cannot be are the runtime’s own' },
  )
}

async function endVerbs(verb: PairVerb): Promise<void> {
  await verb('tasks rm of a running task', async side => {
    await side.tells('tasks', 'rm', 'task')
    await side.tells('containers', 'rm', 'task')
    assert.equal(await statusOf(side, 'task'), 'RUNNING')
  })
  await verb('tasks kill --signal', async side => {
    await side.fails('tasks', 'kill', '--signal', 'NONSENSE', 'task')
    await side.ok('tasks', 'kill', '--signal', 'SIGUSR1', 'task')
    await becomes(side, 'task', 'STOPPED')
    assert.match((await side.tells('tasks', 'kill', 'task')).stderr, /finished/)
    assert.match((await side.tells('tasks', 'rm', 'task')).stderr, /exit code 5/)
    await side.ok('containers', 'rm', 'task')
  })
  await verb('tasks kill --all', async side => {
    await side.run(['-d', '--null-io'], imageName, 'all', 'sh', '-c', 'sleep 1000 & exec sleep 1000')
    await side.ok('tasks', 'kill', '--all', '--signal', '9', 'all')
    await becomes(side, 'all', 'STOPPED')
    assert.match((await side.tells('tasks', 'rm', 'all')).stderr, /exit code 137/)
    await side.ok('containers', 'rm', 'all')
  })
  await verb('tasks rm of many, --force', async side => {
    for (const id of ['m1', 'm2']) await side.run(['-d', '--null-io'], imageName, id, 'sleep', '1000')
    await side.tells('tasks', 'rm', '--force', 'm1', 'm2')
    assert.equal(await side.ok('tasks', 'ls', '-q'), '')
    await side.ok('containers', 'rm', 'm1', 'm2')
  })
  await verb('tasks attach', async side => {
    await side.run(['-d'], imageName, 'attached', 'sh', '-c', 'read line; echo got $line; exit 5')
    const { stdout, code } = await side.ctr.outcome(['tasks', 'attach', 'attached'], { stdin: 'word\n' })
    assert.deepEqual([stdout, code], ['got word\n', 5])
    await side.ctr.outcome(['tasks', 'rm', 'attached'])
    await side.ok('containers', 'rm', 'attached')
  })
}

export async function containerVerbs(verb: PairVerb): Promise<void> {
  await verb('containers create', async side => {
    const flags = [
      '--label',
      'l=1',
      '--annotation',
      'a=b',
      '--env',
      'E=1',
      '--cwd',
      '/etc',
      '--read-only',
      '--net-host',
    ]
    // Its own default runtime on both: ctr gives options to that one only.
    await side.ok('containers', 'create', ...flags, imageName, 'record', 'true')
    assert.match(await side.fails('containers', 'create', imageName, 'record', 'true'), /already exists/)
    await side.fails('containers', 'create', imageName, 'bad/id', 'true')
    await side.fails('containers', 'create', 'x/none:1', 'c', 'true')
  })
  await verb('containers create of every flag', async side => {
    await writeFile(join(side.folder, 'env'), 'F=1\n')
    const flags = [
      '--snapshotter-label',
      'x=y',
      '--env-file',
      join(side.folder, 'env'),
      '--mount',
      'type=tmpfs,src=t,dst=/t,options=rw',
    ]
    const more = ['--tty', '--with-ns', 'uts:/proc/1/ns/uts', '--allow-new-privs', '--memory-limit', '1000000']
    const last = [
      '--device',
      '/dev/null',
      '--cap-add',
      'CAP_SYS_TIME',
      '--cap-drop',
      'CAP_CHOWN',
      '--seccomp',
      '--no-pivot',
    ]
    const rest = [
      '--cpu-quota',
      '1000',
      '--cpu-period',
      '1000',
      '--rootfs-propagation',
      'private',
      '--snapshotter',
      'overlayfs',
    ]
    await side.ok('containers', 'create', ...flags, ...more, ...last, ...rest, imageName, 'flagged', 'true')
    await side.ok('containers', 'info', 'flagged')
    await side.ok('containers', 'rm', 'flagged')
  })
  await verb('containers create --rootfs, --config', async side => {
    await side.ok('containers', 'create', '--rootfs', join(side.folder, 'rootfs'), 'rooted', '/bin/busybox', 'true')
    await side.ok('containers', 'create', '--config', join(side.folder, 'config.json'), 'configured')
    await side.ok('containers', 'info', '--spec', 'configured')
    await side.ok('containers', 'rm', 'rooted', 'configured')
  })
  await verb('containers ls, ls -q, filters', async side => {
    await side.ok('containers', 'ls')
    await side.ok('containers', 'ls', '-q', 'labels.l==1')
    await side.ok('containers', 'ls', '-q', 'id==other', `image==${imageName}`)
    await side.ok('containers', 'ls', '-q', 'runtime.name~=nothing')
    await side.fails('containers', 'ls', '==')
  })
  await verb('containers info, info --spec', async side => {
    await side.ok('containers', 'info', 'record')
    await side.ok('containers', 'info', '--spec', 'record')
    await side.fails('containers', 'info', 'none')
  })
  await verb('containers label', async side => {
    await side.ok('containers', 'label', 'record', 'm=2', 'l=3')
    await side.ok('containers', 'label', 'record', 'm=')
    await side.fails('containers', 'label', 'none', 'a=b')
    await side.fails('containers', 'label', 'record', `k=${'x'.repeat(5000)}`)
    assert.match(await side.ok('containers', 'info', 'record'), /"l": "3"/)
  })
  await verb('containers checkpoint --image --rw', async side => {
    await side.ok('containers', 'checkpoint', '--image', '--rw', 'record', 'x/checkpoint:1')
    await side.ok('images', 'ls', '-q')
    await side.fails('containers', 'checkpoint', 'none', 'x/checkpoint:2')
  })
  // ctr 1.6 restores only what was checkpointed with its task.
  await verb('containers restore', async side => {
    await side.tells('containers', 'restore', '--rw', 'restored', 'x/checkpoint:1')
    await side.fails('containers', 'restore', 'restored', 'x/none:1')
    await side.ok('containers', 'ls', '-q')
    await side.ok('images', 'rm', '--sync', 'x/checkpoint:1')
  })
  await verb('containers rm --keep-snapshot', async side => {
    // Without a label that roots it the snapshot would be the next collection's.
    await side.ok('snapshots', 'label', 'record', 'containerd.io/gc.root=kept')
    await side.ok('containers', 'rm', '--keep-snapshot', 'record')
    await side.collect()
    assert.match(await side.ok('snapshots', 'ls'), /^record /m)
    await side.ok('snapshots', 'rm', 'record')
    await side.tells('containers', 'rm', 'record')
  })
}
