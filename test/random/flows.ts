/** Sequences of calls that make sense, so that random ones meet living things. Every step may fail: others interfere. */
import { createHash } from 'node:crypto'
import type { Dice } from './dice.ts'
import { specOf } from './specs.ts'
import { ids, keys, type World } from './values.ts'

/** Calls a method of `containerd.services.<service>`, with its request as plain values; false when it failed. */
export type Ask = (method: string, ...requests: Record<string, unknown>[]) => Promise<boolean>

export type Flow = (dice: Dice, world: World, ask: Ask) => Promise<void>

const tasks = 'tasks.v1.Tasks'
const snapshots = 'snapshots.v1.Snapshots'

const container: Flow = async (dice, world, ask) => {
  const id = dice.of(ids)
  const args = dice.of([['sleep', '1000'], ['true'], ['sh', '-c', 'exit 3']])
  const spec = {
    typeUrl: 'types.containerd.io/opencontainers/runtime-spec/1/Spec',
    value: Buffer.from(JSON.stringify(specOf(world, id, args))),
  }
  await ask('containers.v1.Containers/Create', {
    container: { id, runtime: { name: 'io.containerd.gantry.v1' }, spec },
  })
  await ask(`${tasks}/Create`, { containerId: id })
  if (dice.chance(0.9)) await ask(`${tasks}/Start`, { containerId: id })
  const steps = dice.some(3, () => dice.of(['Pause', 'Resume', 'Get', 'ListPids', 'Metrics', 'Exec', 'Kill']))
  for (const step of steps) {
    if (step === 'Exec') await exec(dice, id, ask)
    else await ask(`${tasks}/${step}`, step === 'Metrics' ? { filters: [`id==${id}`] } : { containerId: id, signal: 9 })
  }
  if (dice.chance(0.2)) return
  await ask(`${tasks}/Kill`, { containerId: id, signal: 9, all: dice.chance(0.5) })
  await ask(`${tasks}/Wait`, { containerId: id })
  await ask(`${tasks}/Delete`, { containerId: id })
  await ask('containers.v1.Containers/Delete', { id })
}

async function exec(dice: Dice, id: string, ask: Ask): Promise<void> {
  const execId = dice.of(['e1', 'e2'])
  const args = dice.of([['true'], ['sleep', '1000'], ['/nope']])
  const spec = {
    typeUrl: 'types.containerd.io/opencontainers/runtime-spec/1/Process',
    value: Buffer.from(JSON.stringify({ args, cwd: '/', env: ['PATH=/bin'], user: { uid: 0, gid: 0 } })),
  }
  await ask(`${tasks}/Exec`, { containerId: id, execId, spec })
  await ask(`${tasks}/Start`, { containerId: id, execId })
  if (dice.chance(0.5)) await ask(`${tasks}/Kill`, { containerId: id, execId, signal: 9 })
  await ask(`${tasks}/DeleteProcess`, { containerId: id, execId })
}

/** Of an image, as gctr makes them. */
const launched: Flow = async (dice, { images }, ask) => {
  const id = `l${dice.below(3)}`
  const config = { image: dice.of(images), command: dice.of([['sleep', '1000'], ['true']]), args: ['true'] }
  await ask('gantry.services.containers.v1.ContainersService/Create', { id, name: id, config, ...config })
  await ask(`${tasks}/Create`, { containerId: id })
  await ask(`${tasks}/Start`, { containerId: id })
  await ask('gantry.services.containers.v1.ContainersService/Inspect', { id })
  await ask(`${tasks}/Kill`, { containerId: id, signal: 9 })
  await ask(`${tasks}/Wait`, { containerId: id })
  await ask(`${tasks}/Delete`, { containerId: id })
  if (dice.chance(0.8)) await ask('containers.v1.Containers/Delete', { id })
}

const snapshot: Flow = async (dice, { chainIDs }, ask) => {
  const [key, name, snapshotter] = [dice.of(keys), dice.of(keys), 'overlayfs']
  const parent = dice.of(['', ...chainIDs, ...keys])
  await ask(`${snapshots}/${dice.of(['Prepare', 'Prepare', 'View'])}`, { snapshotter, key, parent })
  await ask(`${snapshots}/${dice.of(['Mounts', 'Stat', 'Usage'])}`, { snapshotter, key })
  if (dice.chance(0.6)) await ask(`${snapshots}/Commit`, { snapshotter, key, name })
  await ask(`${snapshots}/Remove`, { snapshotter, key: dice.of([key, name]) })
}

const content: Flow = async (dice, _world, ask) => {
  const data = dice.bytes(dice.of([0, 10, 5000, 100_000]))
  const ref = `ref${dice.below(3)}`
  const digest = `sha256:${createHash('sha256').update(data).digest('hex')}`
  const total = BigInt(data.length)
  const offset = BigInt(dice.of([data.length, data.length, 0, 5]))
  await ask(
    'content.v1.Content/Write',
    { action: 1, ref, total, data },
    { action: 2, ref, total, offset, expected: dice.of([digest, digest, '']) },
  )
  await ask('content.v1.Content/Info', { digest })
  await ask('content.v1.Content/Read', { digest, offset: BigInt(dice.of([0, 1, 200_000])) })
  if (dice.chance(0.5)) await ask('content.v1.Content/Delete', { digest })
  if (dice.chance(0.3)) await ask('content.v1.Content/Abort', { ref })
}

const lease: Flow = async (dice, { digests }, ask) => {
  const id = dice.of(ids)
  await ask('leases.v1.Leases/Create', { id })
  const resource = { id: dice.of(digests), type: 'content' }
  await ask('leases.v1.Leases/AddResource', { id, resource })
  await ask('leases.v1.Leases/ListResources', { id })
  if (dice.chance(0.7)) await ask('leases.v1.Leases/Delete', { id, sync: dice.chance(0.1) })
}

const image: Flow = async (dice, { digests }, ask) => {
  const name = `${dice.of(ids)}:1`
  const target = { mediaType: 'application/vnd.oci.image.manifest.v1+json', digest: dice.of(digests), size: 10n }
  await ask('images.v1.Images/Create', { image: { name, target } })
  await ask('images.v1.Images/Update', {
    image: { name, target, labels: { l: '1' } },
    updateMask: { paths: ['labels'] },
  })
  if (dice.chance(0.7)) await ask('images.v1.Images/Delete', { name, sync: dice.chance(0.1) })
}

/** Rare ones cost a process each. */
export const flows: readonly Flow[] = [
  ...[snapshot, snapshot, content, content, content, lease, image],
  ...[container, launched],
]
