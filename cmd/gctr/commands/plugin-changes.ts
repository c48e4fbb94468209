/** `plugins add|enable|disable|upgrade|rollback|rm`: changing plugins while they are in use. */
import { resolve } from 'node:path'
import { type Plugin, PluginsServiceDefinition } from '#api/gen/gantry/services/plugins/v1/plugins.ts'
import type { Session } from '../session.ts'
import { parseName, stateName } from './plugins.ts'

/** A trial starts a process, and the calls under way are waited for. */
const deadlineMs = 180_000

function print(plugin: Plugin | undefined): void {
  if (plugin !== undefined)
    console.log(`${plugin.kind}/${plugin.id} ${plugin.version || '-'} ${stateName(plugin.state)}`)
}

export async function add(session: Session, flags: { link?: boolean; config?: string }, path: string): Promise<void> {
  const request = { path: resolve(path), link: flags.link ?? false, configJson: flags.config ?? '' }
  print((await session.client(PluginsServiceDefinition).add(request, { deadlineMs })).plugin)
}

export async function enable(session: Session, _flags: unknown, name: string): Promise<void> {
  print((await session.client(PluginsServiceDefinition).enable(parseName(name), { deadlineMs })).plugin)
}

export async function disable(session: Session, _flags: unknown, name: string): Promise<void> {
  print((await session.client(PluginsServiceDefinition).disable(parseName(name), { deadlineMs })).plugin)
}

/** With a version the argument is a plugin's name, without one it is a path. */
export async function upgrade(session: Session, flags: { to?: string; link?: boolean }, target: string): Promise<void> {
  const request =
    flags.to === undefined
      ? { path: resolve(target), link: flags.link ?? false }
      : { ...parseName(target), version: flags.to }
  print((await session.client(PluginsServiceDefinition).upgrade(request, { deadlineMs })).plugin)
}

export async function rollback(session: Session, _flags: unknown, name: string): Promise<void> {
  print((await session.client(PluginsServiceDefinition).rollback(parseName(name), { deadlineMs })).plugin)
}

export async function remove(session: Session, flags: { purge?: boolean }, name: string): Promise<void> {
  const request = { ...parseName(name), purge: flags.purge ?? false }
  await session.client(PluginsServiceDefinition).remove(request, { deadlineMs })
  console.log(name)
}
