/** Random requests to an engine: each kind with its weight. Names come from small sets, so that they meet. */
import type { Dice } from '../../random/dice.ts'
import { createBody, execBody, networkBody, updateBody, volumeBody } from './bodies.ts'
import type { Call } from './engine-call.ts'
import { commonVersion } from './pair.ts'

export interface Wish extends Call {
  /** Of the endpoint, for the report. */
  kind: string
  /** What this makes, when it makes something: its id is remembered under that name. */
  makes?: string
  /** The container that may have to come to rest afterwards. */
  settles?: string
}

type Make = (dice: Dice) => Omit<Wish, 'kind'>

/** No hexadecimal digits: an id of one of the engines might begin so. */
const containers = ['w0', 'w1', 'w2', 'w3', 'w4', 'w5']
const execs = ['e0', 'e1', 'e2']
const networks = ['n0', 'n1']
const volumes = ['v0', 'v1']
const imageNames = ['box:1', 'full:1', 'tagged:2', 'nosuch:1', 'box', 'tagged', 'UPPER']

/** By name, by id, by the beginning of an id; now and then one that nobody has. */
const container = (dice: Dice): string => {
  const name = dice.of(containers)
  return dice.chance(0.05)
    ? dice.of(['nosuch', '%20', 'a~b'])
    : dice.chance(0.2)
      ? `{${dice.of(['id', 'short'])}:${name}}`
      : name
}
const network = (dice: Dice) => dice.of([...networks, ...networks, 'bridge', 'host', 'nosuch'])
const odd = <T>(dice: Dice, usual: T, others: readonly T[], probability = 0.1): T =>
  dice.chance(probability) ? dice.of(others) : usual
const filters = (dice: Dice, choices: readonly Record<string, unknown>[]): string =>
  dice.chance(0.5) ? '' : `filters=${encodeURIComponent(JSON.stringify(dice.of(choices)))}`

/** A call on a container that changes whether it runs. */
const verb =
  (name: string, query: (dice: Dice) => string = () => ''): Make =>
  dice => {
    const settles = container(dice)
    return { method: 'POST', path: `/containers/${settles}/${name}?${query(dice)}`, settles }
  }
const get =
  (path: (dice: Dice) => string): Make =>
  dice => ({ method: 'GET', path: path(dice) })

const containerFilters = [
  ...[{ status: ['running'] }, { status: ['odd'] }, { name: ['w1'] }, { label: { 'a=b': true } }, { label: ['a'] }],
  ...[
    { exited: ['3'] },
    { exited: ['x'] },
    { ancestor: ['box:1'] },
    { volume: ['v0'] },
    { network: ['n0'] },
    { odd: ['1'] },
  ],
  ...[
    { before: ['w1'] },
    { since: ['w1'] },
    { before: ['nosuch'] },
    { health: ['none'] },
    { publish: ['80'] },
    { expose: ['80/tcp'] },
  ],
]

const table: readonly [weight: number, kind: string, make: Make][] = [
  [
    16,
    'container create',
    dice => {
      const name = odd(dice, dice.of(containers), ['-bad', 'a', 'with space'], 0.04)
      return {
        method: 'POST',
        path: `/containers/create?name=${encodeURIComponent(name)}`,
        body: createBody(dice),
        makes: name,
      }
    },
  ],
  [
    12,
    'container list',
    get(
      dice =>
        `/containers/json?${dice.of(['', 'all=1', 'all=true', 'all=1&limit=2', 'limit=x', 'all=1&size=0', 'limit=-1'])}&${filters(dice, containerFilters)}`,
    ),
  ],
  [14, 'container inspect', get(dice => `/containers/${container(dice)}/json`)],
  [8, 'container start', verb('start')],
  [4, 'container stop', verb('stop', dice => odd(dice, 't=0', ['t=x', 't=0&signal=KILL']))],
  [2, 'container restart', verb('restart', () => 't=0')],
  [
    4,
    'container kill',
    verb('kill', dice =>
      dice.of(['', '', 'signal=KILL', 'signal=9', 'signal=ODD', 'signal=SIGHUP', 'signal=0', 'signal=99']),
    ),
  ],
  [3, 'container pause', verb('pause')],
  [4, 'container unpause', verb('unpause')],
  [
    3,
    'container rename',
    dice => ({
      method: 'POST',
      path: `/containers/${container(dice)}/rename?name=${odd(dice, dice.of(containers), ['', '%2Fx', '-bad'], 0.2)}`,
    }),
  ],
  [
    4,
    'container update',
    dice => ({ method: 'POST', path: `/containers/${container(dice)}/update`, body: updateBody(dice) }),
  ],
  [
    3,
    'container wait',
    dice => ({
      method: 'POST',
      path: `/containers/${container(dice)}/wait?${odd(dice, '', ['condition=not-running', 'condition=odd'], 0.3)}`,
      patienceMs: 300,
    }),
  ],
  [
    9,
    'container remove',
    dice => ({
      method: 'DELETE',
      path: `/containers/${container(dice)}?${dice.of(['', 'force=1', 'force=1', 'force=1&v=1', 'link=1'])}`,
    }),
  ],
  [1, 'container resize', verb('resize', dice => dice.of(['h=10&w=20', 'h=x&w=20', '']))],
  [
    2,
    'container top',
    get(
      dice =>
        `/containers/${container(dice)}/top?${dice.of(['ps_args=-o%20pid,comm', 'ps_args=-o%20pid,comm', 'ps_args=-o%20comm'])}`,
    ),
  ],
  [
    4,
    'container logs',
    get(
      dice =>
        `/containers/${container(dice)}/logs?${dice.of(['stdout=1', 'stdout=1&stderr=1', 'stderr=1', '', 'stdout=1&tail=1', 'stdout=1&tail=x', 'stdout=1&since=x', 'stdout=1&since=1&until=2'])}`,
    ),
  ],
  [2, 'container changes', get(dice => `/containers/${container(dice)}/changes`)],
  [
    3,
    'container archive',
    dice => ({
      method: dice.of(['GET', 'HEAD']),
      path: `/containers/${container(dice)}/archive?path=${dice.of(['/etc/passwd', '/nosuch', '', '/bin/sh', '/etc'])}`,
    }),
  ],
  [
    1,
    'container archive put',
    dice => ({
      method: 'PUT',
      path: `/containers/${container(dice)}/archive?path=${dice.of(['/nosuch', '/etc/passwd', ''])}`,
      body: '',
      headers: { 'Content-Type': 'application/x-tar' },
    }),
  ],
  [1, 'container stats', get(dice => `/containers/${container(dice)}/stats?stream=0&one-shot=1`)],
  [
    1,
    'containers prune',
    dice => ({
      method: 'POST',
      path: `/containers/prune?${filters(dice, [{ label: ['a=b'] }, { until: ['1'] }, { odd: ['1'] }])}`,
    }),
  ],
  [
    4,
    'exec create',
    dice => ({
      method: 'POST',
      path: `/containers/${container(dice)}/exec`,
      body: execBody(dice),
      makes: dice.of(execs),
    }),
  ],
  [
    3,
    'exec start',
    dice => ({
      method: 'POST',
      path: `/exec/{id:${dice.of(execs)}}/start`,
      body: dice.of([{ Detach: true }, { Detach: true }, '{', {}]),
      patienceMs: 3000,
    }),
  ],
  [3, 'exec inspect', get(dice => `/exec/{id:${dice.of(execs)}}/json`)],
  [
    3,
    'image list',
    get(
      dice =>
        `/images/json?${dice.of(['', 'all=1', 'digests=1'])}&${filters(dice, [{ reference: ['box'] }, { label: ['maker'] }, { dangling: ['true'] }, { dangling: ['x'] }, { odd: ['1'] }])}`,
    ),
  ],
  [4, 'image inspect', get(dice => `/images/${dice.of(imageNames)}/json`)],
  [2, 'image history', get(dice => `/images/${dice.of(imageNames)}/history`)],
  [
    3,
    'image tag',
    dice => ({
      method: 'POST',
      path: `/images/${dice.of(imageNames)}/tag?${odd(dice, 'repo=tagged&tag=2', ['repo=UPPER', 'repo=tagged&tag=bad%20tag', ''], 0.25)}`,
    }),
  ],
  [
    3,
    'image remove',
    dice => ({ method: 'DELETE', path: `/images/${dice.of(['tagged:2', 'tagged:2', 'nosuch:1', 'UPPER'])}` }),
  ],
  [
    1,
    'image prune',
    dice => ({ method: 'POST', path: `/images/prune?${filters(dice, [{ label: ['nosuch'] }, { odd: ['1'] }])}` }),
  ],
  [
    1,
    'image create',
    dice => ({
      method: 'POST',
      path: `/images/create?${dice.of(['fromImage=UPPER', 'fromSrc=-&repo=UPPER'])}`,
    }),
  ],
  [1, 'commit', dice => ({ method: 'POST', path: `/commit?container=${dice.of(['nosuch', ''])}&repo=x` })],
  [
    3,
    'network create',
    dice => {
      const name = dice.of(networks)
      return { method: 'POST', path: '/networks/create', body: networkBody(dice, name), makes: name }
    },
  ],
  [
    3,
    'network list',
    get(
      dice =>
        `/networks?${filters(dice, [{ name: ['n0'] }, { driver: ['bridge'] }, { type: ['custom'] }, { type: ['odd'] }, { label: ['a'] }, { odd: ['1'] }, { scope: ['local'] }, { dangling: ['true'] }])}`,
    ),
  ],
  [
    5,
    'network inspect',
    get(
      dice =>
        `/networks/${dice.chance(0.2) ? `{id:${dice.of(networks)}}` : network(dice)}${dice.of(['', '?verbose=x', '?scope=local'])}`,
    ),
  ],
  [4, 'network remove', dice => ({ method: 'DELETE', path: `/networks/${network(dice)}` })],
  [
    4,
    'network connect',
    dice => ({
      method: 'POST',
      path: `/networks/${network(dice)}/connect`,
      body: odd<unknown>(dice, { Container: dice.of(containers) }, ['', '{', { Container: 'nosuch' }, {}]),
    }),
  ],
  [
    3,
    'network disconnect',
    dice => ({
      method: 'POST',
      path: `/networks/${network(dice)}/disconnect`,
      body: odd<unknown>(dice, { Container: dice.of(containers), Force: dice.chance(0.3) }, [
        '',
        '{',
        { Container: 'nosuch' },
      ]),
    }),
  ],
  [
    1,
    'network prune',
    dice => ({ method: 'POST', path: `/networks/prune?${filters(dice, [{ label: ['nosuch'] }, { odd: ['1'] }])}` }),
  ],
  [
    3,
    'volume create',
    dice => {
      const name = odd(dice, dice.of(volumes), ['a/b', '.x'], 0.05)
      return { method: 'POST', path: '/volumes/create', body: volumeBody(dice, name) }
    },
  ],
  [
    3,
    'volume list',
    get(
      dice =>
        `/volumes?${filters(dice, [{ name: ['v0'] }, { driver: ['local'] }, { label: ['a=b'] }, { odd: ['1'] }, { dangling: ['x'] }])}`,
    ),
  ],
  [3, 'volume inspect', get(dice => `/volumes/${dice.of([...volumes, 'nosuch'])}`)],
  [
    3,
    'volume remove',
    dice => ({ method: 'DELETE', path: `/volumes/${dice.of([...volumes, 'nosuch'])}?${dice.of(['', 'force=1'])}` }),
  ],
  [
    1,
    'volume prune',
    dice => ({ method: 'POST', path: `/volumes/prune?${filters(dice, [{ label: ['nosuch'] }, { odd: ['1'] }])}` }),
  ],
  [
    1,
    'events',
    get(dice => `/events?${dice.of(['since=1&until=2', 'since=x', 'until=1&filters=%7B', 'since=5&until=2'])}`),
  ],
  [1, 'ping', dice => ({ method: dice.of(['GET', 'HEAD']), path: '/_ping' })],
  [
    1,
    'swarm',
    get(dice => dice.of(['/swarm', '/nodes', '/services', '/tasks', '/secrets', '/configs', '/nodes/x', '/secrets/x'])),
  ],
  [1, 'plugins', get(dice => dice.of(['/plugins', '/plugins/nosuch/json']))],
  [
    3,
    'nonsense',
    dice =>
      dice.of([
        ...[
          { method: 'GET', path: '/nosuch' },
          { method: 'PUT', path: '/containers/json' },
          { method: 'GET', path: '/containers/w0/nosuch' },
        ],
        ...[
          { method: 'POST', path: '/containers/json' },
          { method: 'DELETE', path: '/images/json/x/y' },
          { method: 'GET', path: '/containers/json?filters=%7B' },
        ],
        ...[
          { method: 'GET', path: '/containers/json?filters=%5B%5D' },
          { method: 'PATCH', path: '/volumes' },
          { method: 'POST', path: '/containers/create', body: 'x', headers: { 'Content-Type': 'text/plain' } },
        ],
      ]),
  ],
]

const total = table.reduce((sum, [weight]) => sum + weight, 0)

export function randomRequest(dice: Dice): Wish {
  let left = dice.below(total)
  for (const [weight, kind, make] of table) {
    left -= weight
    if (left < 0) return versioned(dice, { kind, ...make(dice) })
  }
  throw new Error('weights do not add up')
}

/** Mostly the common version; some older ones, none at all, and some that nobody serves. */
function versioned(dice: Dice, wish: Wish): Wish {
  const version = dice.chance(0.85)
    ? commonVersion
    : dice.of(['1.24', '1.30', '1.35', '1.40', '', '1.41', '1.38', '1.25', odd(dice, '1.29', ['9.9', 'x'])])
  return { ...wish, path: version === '' ? wish.path : `/v${version}${wish.path}` }
}
