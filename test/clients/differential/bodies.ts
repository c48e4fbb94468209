/** Bodies of random requests: what makes sense, and now and then a member that does not. */
import type { Dice } from '../../random/dice.ts'

type Body = Record<string, unknown>

/** A place in a body, and what may stand there. */
interface Member {
  path: string
  good: readonly unknown[]
  bad?: readonly unknown[]
}

const mebibyte = 1024 * 1024

/** Of HostConfig that `update` takes too. */
const limits: readonly Member[] = [
  { path: 'Memory', good: [64 * mebibyte, 128 * mebibyte], bad: [1024, 'much', 5 * mebibyte] },
  { path: 'CpuShares', good: [512], bad: ['many', 1.5] },
  { path: 'CpuPeriod', good: [50_000], bad: [10, 2_000_000] },
  { path: 'CpuQuota', good: [20_000], bad: [10] },
  { path: 'NanoCpus', good: [500_000_000], bad: [900_000_000_000, -5] },
  { path: 'PidsLimit', good: [100, -1, null], bad: ['x'] },
  { path: 'CpusetCpus', good: ['0', '0-1'], bad: ['0-', 'a'] },
  {
    path: 'RestartPolicy',
    good: [{ Name: 'no' }],
    bad: [{ Name: 'sometimes' }, { Name: 'always', MaximumRetryCount: 3 }],
  },
]

const host: readonly Member[] = [
  ...limits,
  { path: 'NetworkMode', good: ['none', 'host', 'bridge', 'default', 'n0'], bad: ['nosuchnet', 'container:nosuch'] },
  {
    path: 'Binds',
    good: [['v0:/v'], ['/tmp:/host:ro'], ['v1:/w:ro', '/anon']],
    bad: [['a/b:/c'], ['/a:b'], ['/a:/b:xx'], ['v:/'], [':']],
  },
  {
    path: 'Mounts',
    good: [[{ Type: 'tmpfs', Target: '/t' }], [{ Type: 'volume', Source: 'v0', Target: '/m' }]],
    bad: [
      [{ Type: 'bind', Source: '/nosuch', Target: '/x' }],
      [{ Type: 'odd', Target: '/x' }],
      [{ Type: 'volume', Target: '' }],
    ],
  },
  { path: 'Tmpfs', good: [{ '/run': 'size=1m' }], bad: [{ run: '' }] },
  {
    path: 'PortBindings',
    good: [{ '80/tcp': [{ HostIp: '127.0.0.1', HostPort: '' }] }],
    bad: [{ x: [] }, { '80/tcp': [{ HostPort: '99999' }] }],
  },
  { path: 'CapAdd', good: [['NET_ADMIN'], ['SYS_TIME']], bad: [['NOSUCHCAP']] },
  { path: 'CapDrop', good: [['CHOWN']], bad: [['NOSUCHCAP']] },
  { path: 'Dns', good: [['10.9.8.7']] },
  { path: 'ExtraHosts', good: [['a:1.2.3.4']], bad: [['a']] },
  { path: 'AutoRemove', good: [true, false], bad: ['yes'] },
  { path: 'Privileged', good: [true, false] },
  { path: 'ReadonlyRootfs', good: [true] },
  { path: 'Init', good: [false] },
  { path: 'IpcMode', good: ['private', 'host', 'none', 'shareable'], bad: ['odd'] },
  { path: 'PidMode', good: ['host', ''], bad: ['odd'] },
  { path: 'UTSMode', good: ['host', ''], bad: ['odd'] },
  { path: 'ShmSize', good: [1 * mebibyte], bad: [-1] },
  { path: 'OomScoreAdj', good: [100], bad: [5000] },
  { path: 'SecurityOpt', good: [['no-new-privileges'], ['seccomp=unconfined']], bad: [['odd'], ['odd=1']] },
  { path: 'Sysctls', good: [{ 'net.ipv4.ip_unprivileged_port_start': '0' }] },
  { path: 'Ulimits', good: [[{ Name: 'nofile', Soft: 64, Hard: 128 }]], bad: [[{ Name: 'odd', Soft: 1, Hard: 1 }]] },
  {
    path: 'LogConfig',
    good: [{ Type: 'json-file', Config: { 'max-size': '1m' } }, { Type: 'none' }],
    bad: [{ Type: 'odd' }],
  },
  { path: 'VolumesFrom', good: [], bad: [['nosuch']] },
  { path: 'Links', good: [], bad: [['nosuch:x']] },
  { path: 'Runtime', good: ['runc'], bad: ['odd'] },
  { path: 'GroupAdd', good: [['7']] },
  { path: 'Devices', good: [[{ PathOnHost: '/dev/null', PathInContainer: '/dev/zip', CgroupPermissions: 'rw' }]] },
]

const config: readonly Member[] = [
  { path: 'Env', good: [['A=b'], ['A=b', 'C']], bad: [['=x'], 'A=b', [1]] },
  { path: 'Labels', good: [{ a: 'b' }, { a: 'c', d: '' }], bad: [['a'], { a: 1 }] },
  { path: 'User', good: ['root', '1000', 'nobody', '0:0'] },
  { path: 'WorkingDir', good: ['/tmp', '/new/dir'], bad: ['relative'] },
  { path: 'Hostname', good: ['h1'], bad: [5] },
  { path: 'Domainname', good: ['d.example'] },
  { path: 'Tty', good: [true, false], bad: ['t'] },
  { path: 'OpenStdin', good: [true] },
  { path: 'ExposedPorts', good: [{ '90/tcp': {} }], bad: [{ 'x/tcp': {} }] },
  { path: 'Volumes', good: [{ '/vol': {} }], bad: [{ '/': {} }] },
  { path: 'StopSignal', good: ['SIGKILL', '9'], bad: ['SIGODD'] },
  { path: 'StopTimeout', good: [0] },
  { path: 'Healthcheck', good: [{ Test: ['NONE'] }], bad: [{ Interval: 5 }, { Retries: -1 }] },
  { path: 'Entrypoint', good: [['sleep', '500'], 'sh'], bad: [{}] },
  { path: 'Unknown', good: [1] },
  { path: 'AttachStdout', good: [true] },
  { path: 'MacAddress', good: [''], bad: ['xx:yy'] },
]

const commands = [
  ...[
    ['sleep', '1000'],
    ['sleep', '1000'],
    ['sleep', '1000'],
  ],
  ...[
    ['sh', '-c', 'exit 3'],
    ['sh', '-c', 'echo out; echo err >&2'],
    ['sh', '-c', 'touch /made; rm /etc/group'],
  ],
  ...[['nosuchcommand'], ['/etc/passwd']],
]

export function createBody(dice: Dice): unknown {
  if (dice.chance(0.03)) return dice.of(['', '{', '[]', 'null', '"x"', '{"Image":5}', '{"Image":""}'])
  const body: Body = { Image: dice.of(images), Cmd: dice.of(commands) }
  if (dice.chance(0.1)) delete body.Cmd
  fill(dice, body, config, 2)
  const hostConfig: Body = {}
  fill(dice, hostConfig, host, 3)
  if (dice.chance(0.9)) body.HostConfig = hostConfig
  if (dice.chance(0.1))
    body.NetworkingConfig = { EndpointsConfig: { [dice.of(['n0', 'n1', 'bridge'])]: { Aliases: ['x'] } } }
  return body
}

const images = ['box:1', 'box:1', 'box:1', 'full:1', 'full:1', 'nosuch:1', 'tagged:2', 'UPPER', 'box']

export function updateBody(dice: Dice): unknown {
  if (dice.chance(0.05)) return dice.of(['', '{', '[]', 'null'])
  const body: Body = {}
  fill(dice, body, limits, 2)
  return body
}

export function networkBody(dice: Dice, name: string): unknown {
  if (dice.chance(0.05)) return dice.of(['', '{', '[]', '{"Name":""}', '{"Name":5}'])
  const body: Body = { Name: name, CheckDuplicate: true }
  fill(dice, body, networkMembers, 2)
  return body
}

const networkMembers: readonly Member[] = [
  { path: 'Driver', good: ['bridge'], bad: ['host', 'null', 'overlay'] },
  { path: 'Internal', good: [true, false] },
  { path: 'Labels', good: [{ a: 'b' }], bad: [5] },
  { path: 'Options', good: [{ 'com.docker.network.driver.mtu': '1400' }] },
  {
    path: 'IPAM',
    good: [{ Config: [{ Subnet: '10.77.0.0/24' }] }, { Config: [{ Subnet: '10.78.0.0/24', Gateway: '10.78.0.9' }] }],
    bad: [{ Driver: 'odd' }, { Config: [{ Subnet: 'x' }] }],
  },
  { path: 'Attachable', good: [true] },
]

export function volumeBody(dice: Dice, name: string): unknown {
  if (dice.chance(0.05)) return dice.of(['{', '[]', '{"Name":5}', '{"Name":"a/b"}'])
  const body: Body = { Name: name }
  fill(dice, body, volumeMembers, 1)
  return body
}

const volumeMembers: readonly Member[] = [
  { path: 'Driver', good: ['local', ''] },
  { path: 'Labels', good: [{ a: 'b' }], bad: [5] },
  { path: 'DriverOpts', good: [{ type: 'tmpfs', device: 'tmpfs', o: 'size=1m' }], bad: [{ odd: '1' }] },
]

export function execBody(dice: Dice): unknown {
  if (dice.chance(0.05)) return dice.of(['', '{', '[]'])
  const body: Body = { Cmd: dice.of([['true'], ['sh', '-c', 'exit 4'], ['nosuch'], [], ['pwd']]) }
  fill(dice, body, execMembers, 1)
  return body
}

const execMembers: readonly Member[] = [
  { path: 'AttachStdout', good: [true], bad: ['x'] },
  { path: 'Tty', good: [true] },
  { path: 'Env', good: [['A=b']], bad: [5] },
  { path: 'User', good: ['root', '1000'], bad: ['nosuchuser'] },
  { path: 'WorkingDir', good: ['/tmp'] },
  { path: 'Privileged', good: [true] },
  { path: 'DetachKeys', good: ['ctrl-a'], bad: ['odd'] },
]

/** Up to `most` good members; one bad one now and then. */
function fill(dice: Dice, body: Body, members: readonly Member[], most: number): void {
  for (const { path, good } of dice.some(most, () => dice.of(members))) if (good.length > 0) body[path] = dice.of(good)
  const { path, bad = [] } = dice.of(members)
  if (bad.length > 0 && dice.chance(0.12)) body[path] = dice.of(bad)
}
