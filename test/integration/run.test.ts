/**
 * A container's whole life through the real processes: gantryd, snapshotter, network plugins, shim. The image is made on the
 * spot from Debian's busybox.
 */
import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { EventsDefinition } from '#api/gen/containerd/services/events/v1/events.ts'
import { ImagesDefinition } from '#api/gen/containerd/services/images/v1/images.ts'
import { Status } from '#api/gen/containerd/types/task/task.ts'
import { createClient } from '#api/rpc/client.ts'
import { Daemon } from '../daemon/daemon.ts'
import { ContainerClient, collect } from './container-client.ts'
import { requireGone } from './leftovers.ts'

let daemon: Daemon
let client: ContainerClient
let image: string

before(async () => {
  daemon = await Daemon.start()
  image = await daemon.importBusybox()
  client = new ContainerClient(daemon)
})

after(async () => {
  client?.[Symbol.dispose]()
  await daemon?.[Symbol.asyncDispose]()
})

const sh = (script: string) => ({ args: ['sh', '-c', script] })
const hostNetwork = [{ network: 'host' }]

test('output, errors and exit code come through; afterwards nothing is left', async () => {
  const output = await client.run({
    id: 'life',
    image,
    networks: [{ network: 'none' }],
    process: sh('echo out; echo err >&2; exit 7'),
  })
  assert.deepEqual(output, { stdout: 'out\n', stderr: 'err\n', exitCode: 7 })
  await requireGone(daemon, 'life')
})

test('events tell the life in order', async () => {
  const leave = new AbortController()
  const events = createClient(EventsDefinition, client.channel).subscribe(
    { filters: ['topic~="/tasks/"'] },
    { signal: leave.signal },
  )
  const topics: string[] = []
  const listening = (async () => {
    for await (const { topic } of events) if (topics.push(topic) === 4) break
  })()
  await new Promise(resolve => setTimeout(resolve, 100))
  await client.run({ image, networks: hostNetwork, process: sh('exit 0') })
  await listening
  leave.abort()
  assert.deepEqual(topics, ['/tasks/create', '/tasks/start', '/tasks/exit', '/tasks/delete'])
})

test('a bridge gives an address, a hostname and name files', async () => {
  const script =
    'ip -4 addr show eth0 | grep -c "inet 172"; cat /etc/hostname; grep "$(hostname)" /etc/hosts; cat /proc/sys/net/ipv4/ip_unprivileged_port_start'
  const { stdout, exitCode } = await client.run({
    image,
    hostname: 'web',
    extraHosts: ['db:10.1.2.3'],
    process: sh(script),
  })
  assert.equal(exitCode, 0)
  assert.match(stdout, /^1\nweb\n172\.[\d.]+\tweb\nfd[\da-f:]+\tweb\n0\n$/)
})

test('the sandbox is Docker’s: capabilities, seccomp, masked and read-only paths', async () => {
  const script = [
    'grep CapEff /proc/self/status',
    'grep Seccomp: /proc/self/status',
    'wc -c < /proc/interrupts',
    'echo 1 > /proc/sys/kernel/domainname || echo refused',
    'mkdir /sys/fs/cgroup/x || echo refused',
    'unshare -m true || echo refused',
    'cat /dev/mem || echo refused',
    'echo $$',
  ].join('; ')
  const { stdout } = await client.run({ image, networks: hostNetwork, process: sh(script) })
  const lines = stdout.trim().split('\n')
  assert.match(lines[0] ?? '', /00000000a80425fb$/)
  assert.match(lines[1] ?? '', /2$/)
  assert.deepEqual(lines.slice(2), ['0', 'refused', 'refused', 'refused', 'refused', '1'])
})

test('users are looked up in the image; a further process runs as the container’s user', async () => {
  const { stdout } = await client.run({
    image,
    networks: hostNetwork,
    process: { ...sh('id -u; id -g; echo $HOME'), user: '1234:77' },
  })
  assert.equal(stdout, '1234\n77\n/\n')
  await assert.rejects(
    client.start({ id: 'nobody', image, networks: hostNetwork, process: { ...sh('true'), user: 'ghost' } }),
    { code: 'INVALID_ARGUMENT', message: /unable to find user ghost/ },
  )
  await assert.rejects(client.tasks.get({ containerId: 'nobody' }), { code: 'NOT_FOUND' })
  await client.records.delete({ id: 'nobody' })
})

test('standard input goes in and ends', async () => {
  const running = await client.start({ image, networks: hostNetwork, process: { args: ['cat'], stdin: 'once' } })
  await running.attachment.send(Buffer.from('to and fro'))
  running.attachment.endStdin()
  assert.deepEqual(await running.output(), { stdout: 'to and fro', stderr: '', exitCode: 0 })
  await client.remove(running.id)
})

test('mounts, read-only root, limits and sysctls', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'gantry-mount-'))
  await writeFile(join(folder, 'file'), 'from the host\n')
  const script =
    'cat /data/file; echo x > /data/new || echo ro; echo x > /root-file || echo ro; echo x > /scratch/f && echo rw; cat /proc/sys/net/core/somaxconn; cat /proc/self/cgroup'
  const { stdout } = await client.run({
    image,
    readOnlyRoot: true,
    networks: [{ network: 'none' }],
    mounts: [
      { type: 'bind', source: folder, target: '/data', options: ['ro'] },
      { type: 'tmpfs', target: '/scratch' },
    ],
    sysctls: { 'net.core.somaxconn': '77' },
    resources: { memoryBytes: 32n << 20n, pidsLimit: 20n, nanoCpus: 500_000_000n },
    process: sh(script),
  })
  await rm(folder, { recursive: true })
  assert.match(stdout, /^from the host\nro\nro\nrw\n77\n/)
})

test('a container is restarted on the same root: stop, delete the task, create it again', async () => {
  const config = { id: 'again', image, networks: hostNetwork, process: sh('echo x >> /count; wc -l < /count') }
  const first = await client.start(config)
  assert.equal((await first.output()).stdout, '1\n')
  await client.tasks.delete({ containerId: 'again' })
  const { paths } = await client.launcher.inspect({ id: 'again' })
  await client.tasks.create({ containerId: 'again' })
  const attachment = await client.attach(paths?.attachSocket ?? '')
  await client.tasks.start({ containerId: 'again' })
  assert.equal((await collect(attachment)).stdout, '2\n')
  const log = await readFile(paths?.logFile ?? '', 'utf8')
  assert.deepEqual(
    log
      .trim()
      .split('\n')
      .map(line => JSON.parse(line).log),
    ['1\n', '2\n'],
  )
  await client.remove('again')
  assert.ok(!existsSync(paths?.logFile ?? ''))
})

test('exec, list, pids, metrics, pause, kill, wait', async () => {
  const { id } = await client.start({
    id: 'busy',
    image,
    networks: hostNetwork,
    process: { args: ['sleep', '1000'], user: '55' },
  })
  assert.deepEqual(await client.exec(id, ['sh', '-c', 'id -u; exit 3']), { stdout: '55\n', stderr: '', exitCode: 3 })
  const { tasks } = await client.tasks.list({})
  assert.equal(tasks.find(task => task.id === id)?.status, Status.RUNNING)
  assert.equal((await client.tasks.listPids({ containerId: id })).processes.length, 1)
  const { metrics } = await client.tasks.metrics({ filters: [`id==${id}`] })
  assert.match(metrics[0]?.data?.typeUrl ?? '', /^io\.containerd\.cgroups\.v[12]\.Metrics$/)
  await client.tasks.pause({ containerId: id })
  assert.equal((await client.tasks.get({ containerId: id })).process?.status, Status.PAUSED)
  await client.tasks.resume({ containerId: id })
  await assert.rejects(client.tasks.delete({ containerId: id }), { code: 'FAILED_PRECONDITION' })
  await assert.rejects(client.records.delete({ id }), { code: 'FAILED_PRECONDITION' })
  await assert.rejects(client.tasks.create({ containerId: id }), { code: 'ALREADY_EXISTS' })
  const waiting = client.tasks.wait({ containerId: id })
  await client.tasks.kill({ containerId: id, signal: 9 })
  assert.equal((await waiting).exitStatus, 137)
  await client.remove(id)
  await assert.rejects(client.tasks.get({ containerId: id }), { code: 'NOT_FOUND', message: `task ${id} not found` })
})

test('namespaces of another container are shared while it runs', async () => {
  const sleeping = { args: ['sleep', '1000'] }
  const { id } = await client.start({ id: 'host-of-others', image, process: sleeping, ipcMode: 'shareable' })
  const shared = {
    image,
    networks: [{ network: `container:${id}` }],
    pidMode: `container:${id}`,
    ipcMode: `container:${id}`,
  }
  const { stdout } = await client.run({
    ...shared,
    process: sh('ip -4 addr show eth0 | grep -c inet; ps | grep -c "sleep 1000$"'),
  })
  assert.match(stdout, /^1\n[12]\n$/)
  await client.end(id)
  await assert.rejects(client.start({ ...shared, id: 'late', process: sh('true') }), { code: 'NOT_FOUND' })
  await client.records.delete({ id: 'late' })
})

test('the image may go between the record and the start', async () => {
  const name = await daemon.importBusybox('test.example/passing:1')
  const other = new ContainerClient(daemon, 'elsewhere')
  await daemon.run('-n', 'elsewhere', 'images', 'import', join(daemon.folder, 'busybox.tar'))
  await other.launcher.create({ config: { id: 'late', image: name, networks: hostNetwork, process: sh('exit 6') } })
  await createClient(ImagesDefinition, other.channel).delete({ name, sync: true })
  await other.tasks.create({ containerId: 'late' })
  await other.tasks.start({ containerId: 'late' })
  assert.equal((await other.tasks.wait({ containerId: 'late' })).exitStatus, 6)
  await other.remove('late')
  other.channel.close()
})

test('many at once', async () => {
  const numbers = Array.from({ length: 12 }, (_, at) => at)
  const outputs = await Promise.all(
    numbers.map(at =>
      client.run({ id: `many-${at}`, image, process: sh(`ip -4 -o addr show eth0 | cut -d" " -f7; exit ${at}`) }),
    ),
  )
  assert.deepEqual(
    outputs.map(({ exitCode }) => exitCode),
    numbers,
  )
  assert.equal(new Set(outputs.map(({ stdout }) => stdout)).size, numbers.length)
  await requireGone(daemon, 'many-')
})

const refusals: [name: string, config: object, error: object][] = [
  [
    'an image that is not here',
    { image: 'test.example/none:1' },
    { code: 'NOT_FOUND', message: /test\.example\/none:1/ },
  ],
  ['a network that is not', { networks: [{ network: 'nowhere' }] }, { code: 'NOT_FOUND', message: /nowhere/ }],
  [
    'a bind source that is not',
    { mounts: [{ type: 'bind', source: '/nowhere', target: '/x' }] },
    { code: 'INVALID_ARGUMENT', message: /\/nowhere/ },
  ],
  ['a bad id', { id: '../x' }, { code: 'INVALID_ARGUMENT', message: /\.\.\/x/ }],
  ['a platform the image has not', { platform: 'linux/s390x' }, { code: 'NOT_FOUND', message: /s390x/ }],
]
for (const [name, config, error] of refusals) {
  test(`refused by name: ${name}`, async () => {
    await assert.rejects(client.launcher.create({ config: { id: 'refused', image, ...config } }), error)
    await assert.rejects(client.records.get({ id: 'refused' }), { code: 'NOT_FOUND' })
  })
}

test('what cannot be run is told with its name, and nothing is left of the try', async () => {
  await client.launcher.create({ config: { id: 'absent', image, process: { args: ['/no/such/program'] } } })
  const create = client.tasks
    .create({ containerId: 'absent' })
    .then(() => client.tasks.start({ containerId: 'absent' }))
  await assert.rejects(create, /no\/such\/program/)
  await client.tasks.delete({ containerId: 'absent' }).catch(() => {})
  await client.records.delete({ id: 'absent' })
  await requireGone(daemon, 'absent')
})

test('an unknown runtime is refused by name', async () => {
  await client.launcher.create({ config: { id: 'strange', image, runtime: 'io.containerd.nothing.v9' } })
  await assert.rejects(client.tasks.create({ containerId: 'strange' }), {
    code: 'NOT_FOUND',
    message: /containerd-shim-nothing-v9/,
  })
  await client.records.delete({ id: 'strange' })
})
