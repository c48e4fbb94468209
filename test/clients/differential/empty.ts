/** Both engines without containers, networks and volumes: a fresh start in the middle of a run. */
import type { Engine } from './engine.ts'
import { commonVersion, type Pair } from './pair.ts'

const v = `/v${commonVersion}`

export async function emptyBoth({ engines }: Pair): Promise<void> {
  await Promise.all(engines.map(empty))
}

async function empty(engine: Engine): Promise<void> {
  const containers = ((await engine.json(`${v}/containers/json?all=1`)) ?? []) as unknown as { Id: string }[]
  for (const { Id } of containers) await remove(engine, `containers/${Id}?force=1&v=1`)
  const networks = ((await engine.json(`${v}/networks?filters=${custom}`)) ?? []) as unknown as { Id: string }[]
  for (const { Id } of networks) await remove(engine, `networks/${Id}`)
  const { Volumes } = ((await engine.json(`${v}/volumes`)) ?? {}) as { Volumes?: { Name: string }[] | null }
  for (const { Name } of Volumes ?? []) await remove(engine, `volumes/${Name}?force=1`)
  await remove(engine, 'images/tagged:2')
  engine.ids.clear()
}

const custom = encodeURIComponent(JSON.stringify({ type: ['custom'] }))

async function remove(engine: Engine, path: string): Promise<void> {
  await engine.call({ method: 'DELETE', path: `${v}/${path}` })
}
