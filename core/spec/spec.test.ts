import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isGantryError } from '#api/errors/errors.ts'
import { ContainerConfig } from '#api/gen/gantry/services/containers/v1/containers.ts'
import { completeSpec, composeSpec, decodeSpecJson, encodeSpecJson, parseImageConfig, type SpecHost } from './spec.ts'

const host: SpecHost = {
  architecture: 'amd64',
  kernelRelease: '6.1.0-18-amd64',
  cpus: 4,
  capabilities: ['CAP_CHOWN', 'CAP_NET_ADMIN', 'CAP_SYS_ADMIN'],
  hasApparmor: true,
  cgroups: 'v2',
  initPath: '/usr/bin/tini-static',
  cgroup: { name: 'gantry-0badcafe', driver: 'cgroupfs' },
}

const image = parseImageConfig(
  'busybox',
  Buffer.from(
    JSON.stringify({
      os: 'linux',
      architecture: 'amd64',
      config: { Env: ['A=image', 'PATH=/bin'], Entrypoint: ['/entry'], Cmd: ['serve'], WorkingDir: '/srv' },
      rootfs: { type: 'layers', diff_ids: [] },
    }),
  ),
)

const files = { hosts: '/f/hosts', resolvConf: '/f/resolv.conf', hostname: '/f/hostname' }
const id = '0123456789abcdef'

function compose(config: Parameters<typeof ContainerConfig.fromPartial>[0], facts: Partial<SpecHost> = {}) {
  const request = { namespace: 'default', id, config: ContainerConfig.fromPartial(config), image, files }
  return composeSpec(request, { ...host, ...facts })
}

async function refused(config: Parameters<typeof ContainerConfig.fromPartial>[0], message: RegExp) {
  await assert.rejects(
    compose(config),
    error => isGantryError(error, 'INVALID_ARGUMENT') && message.test(error.message),
  )
}

test('a container that asks for nothing gets what Docker gives', async () => {
  const { spec, warnings } = await compose({})
  assert.deepEqual(warnings, [])
  assert.deepEqual(spec.process.args, ['/entry', 'serve'])
  assert.equal(spec.process.cwd, '/srv')
  assert.deepEqual(spec.process.env, ['PATH=/bin', 'HOSTNAME=0123456789ab', 'A=image'])
  assert.equal(spec.process.capabilities?.bounding.length, 14)
  assert.ok(spec.process.capabilities?.bounding.includes('CAP_NET_RAW'))
  assert.deepEqual(spec.process.capabilities?.inheritable, [])
  assert.deepEqual(
    spec.linux.namespaces.map(({ type }) => type),
    ['mount', 'pid', 'ipc', 'uts', 'network', 'cgroup'],
  )
  assert.equal(spec.linux.cgroupsPath, `/gantry-0badcafe/default/${id}`)
  assert.equal(spec.linux.resources.devices[0]?.allow, false)
  assert.ok(spec.linux.maskedPaths.includes('/proc/kcore'))
  assert.ok(spec.linux.readonlyPaths.includes('/proc/sys'))
  assert.equal(spec.linux.sysctl['net.ipv4.ip_unprivileged_port_start'], '0')
  assert.equal(spec.linux.seccomp?.defaultAction, 'SCMP_ACT_ERRNO')
  assert.equal(spec.hostname, '0123456789ab')
  const shm = spec.mounts.find(mount => mount.destination === '/dev/shm')
  assert.ok(shm?.options.includes('size=67108864'))
  assert.ok(spec.mounts.find(mount => mount.destination === '/sys/fs/cgroup')?.options.includes('ro'))
  assert.equal(spec.mounts.find(mount => mount.destination === '/etc/hosts')?.source, '/f/hosts')
})

test('the default seccomp policy depends on capabilities', async () => {
  const named = async (config: Parameters<typeof ContainerConfig.fromPartial>[0], name: string) =>
    (await compose(config)).spec.linux.seccomp?.syscalls.filter(rule => rule.names.includes(name)) ?? []
  assert.deepEqual(await named({}, 'mount'), [])
  assert.equal((await named({ addCapabilities: ['SYS_ADMIN'] }, 'mount')).length, 1)
  assert.equal((await named({}, 'clone3'))[0]?.errnoRet, 38)
  assert.equal((await named({ addCapabilities: ['sys_admin'] }, 'clone3'))[0]?.action, 'SCMP_ACT_ALLOW')
  assert.deepEqual((await named({}, 'clone'))[0]?.args, [
    { index: 0, value: 0x7e020000, valueTwo: 0, op: 'SCMP_CMP_MASKED_EQ' },
  ])
  assert.equal((await named({}, 'arch_prctl')).length, 1)
  assert.deepEqual(await named({}, 's390_runtime_instr'), [])
  assert.equal((await compose({ seccompProfile: 'unconfined' })).spec.linux.seccomp, undefined)
})

test('privileged: all there is to have, and nothing hidden', async () => {
  const { spec } = await compose({ privileged: true })
  assert.deepEqual(spec.process.capabilities?.bounding, host.capabilities)
  assert.deepEqual(spec.linux.maskedPaths, [])
  assert.equal(spec.linux.seccomp, undefined)
  assert.deepEqual(spec.linux.resources.devices, [{ allow: true, access: 'rwm' }])
  assert.ok(spec.linux.devices.some(device => device.path === '/dev/null' && device.major === 1 && device.minor === 3))
  assert.ok(!spec.mounts.find(mount => mount.destination === '/sys')?.options.includes('ro'))
})

test('args, entrypoint and environment are Docker’s', async () => {
  const run = async (process: object) => (await compose({ process })).spec.process
  assert.deepEqual((await run({ args: ['x'] })).args, ['/entry', 'x'])
  assert.deepEqual((await run({ overrideEntrypoint: true, entrypoint: ['sh'] })).args, ['sh'])
  await refused({ process: { overrideEntrypoint: true } }, /no command/)
  const { env } = await run({ env: ['A=mine', 'B=2', 'PATH'], terminal: true })
  assert.deepEqual(env, ['HOSTNAME=0123456789ab', 'TERM=xterm', 'A=mine', 'B=2'])
})

test('shared namespaces', async () => {
  const { spec } = await compose({ pidMode: 'host', ipcMode: 'container:other', networks: [{ network: 'host' }] })
  assert.deepEqual(spec.linux.namespaces, [
    { type: 'mount' },
    { type: 'ipc', path: 'container:other' },
    { type: 'uts' },
    { type: 'cgroup' },
  ])
  assert.deepEqual(spec.linux.sysctl, {})
  await refused({ pidMode: 'hots' }, /pid_mode "hots"/)
  await refused({ networks: [{ network: 'host' }, { network: 'bridge' }] }, /"host" cannot be combined/)
})

test('limits: checked, and swap as Docker counts it', async () => {
  const { spec } = await compose({ resources: { memoryBytes: 64n << 20n, nanoCpus: 1_500_000_000n, pidsLimit: 7n } })
  assert.deepEqual(spec.linux.resources.memory, { limit: 64 << 20, swap: 128 << 20 })
  assert.deepEqual(spec.linux.resources.cpu, { quota: 150_000, period: 100_000 })
  assert.deepEqual(spec.linux.resources.pids, { limit: 7 })
  await refused({ resources: { memoryBytes: 1024n } }, /memory_bytes 1024 is below/)
  await refused({ resources: { nanoCpus: 5_000_000_000n } }, /nano_cpus/)
  await refused({ resources: { memoryBytes: 64n << 20n, memorySwapBytes: 1n } }, /memory_swap_bytes/)
  const { warnings } = await compose({ resources: { oomKillDisable: true } })
  assert.match(warnings[0] ?? '', /oom_kill_disable/)
})

test('mounts: wishes take the place of defaults, parents come first', async () => {
  const { spec } = await compose({
    mounts: [
      { type: 'bind', source: '/srv/a', target: '/data/deep/er', options: [] },
      { type: 'tmpfs', target: '/data', options: ['size=1m', 'exec'] },
      { type: 'tmpfs', target: '/dev/shm/', options: [] },
    ],
  })
  const last = spec.mounts.slice(-3).map(mount => mount.destination)
  assert.deepEqual(last, ['/data', '/dev/shm', '/data/deep/er'])
  assert.equal(spec.mounts.filter(mount => mount.destination === '/dev/shm').length, 1)
  assert.deepEqual(spec.mounts.at(-1)?.options, ['rbind', 'rprivate'])
  assert.deepEqual(spec.mounts.at(-3)?.options, ['nosuid', 'nodev', 'size=1m', 'exec'])
  await refused({ mounts: [{ type: 'bind', source: 'rel', target: '/x' }] }, /source "rel"/)
  await refused({ mounts: [{ type: 'tmpfs', target: '/x/..' }] }, /the root itself/)
})

test('sysctls, capabilities, ulimits and devices that cannot be are refused by name', async () => {
  await refused({ sysctls: { 'vm.swappiness': '1' } }, /vm\.swappiness/)
  await refused(
    { sysctls: { 'net.core.somaxconn': '1' }, networks: [{ network: 'host' }] },
    /network namespace of the host/,
  )
  await refused({ addCapabilities: ['CAP_FLY'] }, /CAP_FLY/)
  await refused({ ulimits: [{ name: 'files', soft: 1n, hard: 1n }] }, /"files"/)
  await refused({ devices: [{ hostPath: '/etc/passwd' }] }, /\/etc\/passwd/)
  await refused({ devices: [{ hostPath: '/dev/null', permissions: 'x' }] }, /"x"/)
  await refused({ seccompProfile: '{"syscalls":[]}' }, /defaultAction/)
})

test('a cgroup parent must fit the driver', async () => {
  const at = async (config: object) => (await compose(config)).spec.linux.cgroupsPath
  assert.equal(await at({ cgroupParent: '/mine/' }), `/mine/${id}`)
  assert.equal(await at({ cgroupDriver: 'systemd' }), `system.slice:gantry-0badcafe-default:${id}`)
  assert.equal(await at({ cgroupDriver: 'systemd', cgroupParent: 'a.slice' }), `a.slice:gantry-0badcafe-default:${id}`)
  await refused({ cgroupParent: 'a.slice' }, /driver is cgroupfs/)
  await refused({ cgroupParent: '../up' }, /"\.\."/)
})

test('an unlimited rlimit survives JSON', async () => {
  const { spec } = await compose({ ulimits: [{ name: 'core', soft: 0n, hard: 2n ** 64n - 1n }] })
  const text = encodeSpecJson(spec).toString()
  assert.match(text, /"hard":18446744073709551615[,}]/)
  assert.deepEqual(encodeSpecJson(decodeSpecJson(Buffer.from(text))).toString(), text)
})

test('the second half: user, home, pinned and shared namespaces', async () => {
  const { spec } = await compose({ ipcMode: 'container:other' })
  const complete = await completeSpec(spec, {
    user: { uid: 7, gid: 8, additionalGids: [9], home: '/home/u' },
    netnsPath: '/run/g/netns/x',
    namespaceOf: async (container, type) => `/proc/1/ns/${container}-${type}`,
    shmOf: async container => `/shm/of/${container}`,
  })
  assert.equal(complete.mounts.find(({ destination }) => destination === '/dev/shm')?.source, '/shm/of/other')
  assert.deepEqual(complete.process.user, { uid: 7, gid: 8, additionalGids: [9] })
  assert.ok(complete.process.env.includes('HOME=/home/u'))
  assert.equal(complete.linux.namespaces.find(({ type }) => type === 'network')?.path, '/run/g/netns/x')
  assert.equal(complete.linux.namespaces.find(({ type }) => type === 'ipc')?.path, '/proc/1/ns/other-ipc')
  assert.equal(spec.process.user.uid, 0)
})

test('an init goes before the command, unless another process reaps already', async () => {
  const { spec } = await compose({ init: true })
  assert.deepEqual(spec.process.args, ['/sbin/docker-init', '--', '/entry', 'serve'])
  assert.deepEqual(spec.mounts.at(-1), {
    destination: '/sbin/docker-init',
    type: 'bind',
    source: '/usr/bin/tini-static',
    options: ['bind', 'ro'],
  })
  const shared = await compose({ init: true, pidMode: 'host' })
  assert.deepEqual(shared.spec.process.args, ['/entry', 'serve'])
  const config = ContainerConfig.fromPartial({ init: true })
  await assert.rejects(
    composeSpec({ namespace: 'default', id, config, image, files }, { ...host, initPath: undefined }),
    { code: 'FAILED_PRECONDITION', message: /tini/ },
  )
})

test('an AppArmor profile is for hosts that have AppArmor', async () => {
  const wished = await compose({ apparmorProfile: 'mine' })
  assert.deepEqual([wished.spec.process.apparmorProfile, wished.warnings], ['mine', []])
  const unconfined = await compose({ apparmorProfile: 'unconfined' })
  assert.equal(unconfined.spec.process.apparmorProfile, undefined)
  const elsewhere = await compose({ apparmorProfile: 'mine' }, { hasApparmor: false })
  assert.equal(elsewhere.spec.process.apparmorProfile, undefined)
  assert.deepEqual(elsewhere.warnings, ['this host has no AppArmor: profile "mine" has no effect'])
})
