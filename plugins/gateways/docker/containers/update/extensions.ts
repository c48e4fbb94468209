/**
 * What `POST /containers/{id}/update` takes beyond Docker: ports, labels, environment, mounts and networks of a container that is
 * there already. A value that is null takes away; what is not named stays.
 */
import * as z from 'zod'
import { list, texts } from '../../http/go-json.ts'
import { badRequest } from '../../http/http-error.ts'
import { connect, disconnect } from '../../networks/connect.ts'
import type { ContainerParts } from '../containers.ts'
import { parseBind } from '../create/bind-text.ts'
import {
  bindingsSchema,
  type Config,
  endpointSchema,
  type HostConfig,
  hostConfigSchema,
  mountSchema,
} from '../create/body.ts'
import { checkConfig, checkHostConfig } from '../create/check.ts'
import { resolveMounts } from '../create/mounts.ts'
import { withPlaces } from '../placed-mounts.ts'
import type { DockerRecord } from '../record.ts'
import type { Found } from '../store.ts'

export const extensionShape = {
  /** `K=V` sets, `K` takes away; for the next start. */
  Env: texts,
  Labels: z.record(z.string(), z.string().nullable()).nullish(),
  /** Of a running container at once. */
  PortBindings: z.record(z.string(), bindingsSchema.nullable()).nullish(),
  /** Each in place of whatever is at its target; for the next start. */
  Mounts: list(mountSchema),
  /** Targets. */
  RemoveMounts: texts,
  /** By network; at once. */
  Networks: z.record(z.string(), endpointSchema.nullable()).nullish(),
}

const extensionSchema = z.object(extensionShape)
export type Extensions = z.output<typeof extensionSchema>

/** The record as it will be, volumes made. 400 in the words of create. */
export async function extended(parts: ContainerParts, found: Found, wish: Extensions): Promise<DockerRecord> {
  const { record } = found
  const config = { ...record.config, Env: environment(record.config, wish), Labels: labels(record.config, wish) }
  const { host, mounts } = await mountsOf(parts, found, wish)
  const hostConfig = { ...host, PortBindings: patched(host.PortBindings ?? {}, wish.PortBindings ?? {}) }
  checkConfig(config)
  checkHostConfig(hostConfig, config)
  return { ...record, config, hostConfig, mounts }
}

export const changesPorts = ({ PortBindings }: Extensions): boolean =>
  PortBindings !== undefined && PortBindings !== null

/** Joins and leaves; 404 for a network that there is not, in the words of connect. */
export async function changeNetworks({ engine }: ContainerParts, { id, core }: Found, { Networks }: Extensions) {
  const on = new Set((core.config?.networks ?? []).map(({ network }) => network))
  for (const [network, wish] of Object.entries(Networks ?? {})) {
    if (wish === null) await disconnect(engine, network, { Container: id, Force: false })
    else {
      if (on.has(network)) await disconnect(engine, network, { Container: id, Force: false })
      await connect(engine, network, { Container: id, EndpointConfig: wish })
    }
  }
}

function environment({ Env }: Config, wish: Extensions): string[] {
  const all = new Map((Env ?? []).map(entry => [nameOf(entry), entry]))
  for (const entry of wish.Env ?? []) {
    if (nameOf(entry) === '') throw badRequest(`invalid environment variable: ${entry}`)
    if (entry.includes('=')) all.set(nameOf(entry), entry)
    else all.delete(entry)
  }
  return [...all.values()]
}

const nameOf = (entry: string): string => entry.replace(/=[\s\S]*$/, '')

const labels = ({ Labels }: Config, wish: Extensions) => patched(Labels ?? {}, wish.Labels ?? {})

/** Null takes away. */
function patched<T>(has: Readonly<Record<string, T>>, changes: Readonly<Record<string, T | null>>): Record<string, T> {
  const all = { ...has, ...changes }
  return Object.fromEntries(Object.entries(all).filter((entry): entry is [string, T] => entry[1] !== null))
}

async function mountsOf({ engine, store }: ContainerParts, { id, record }: Found, wish: Extensions) {
  const { Mounts: wished, RemoveMounts } = wish
  const host = record.hostConfig
  if (!wished && !RemoveMounts) return { host, mounts: record.mounts }
  const mountParts = {
    root: engine.settings.root,
    ...{ volumes: engine.volumes, images: engine.images },
    goesWith: host.AutoRemove ? id : undefined,
    mountsOf: async (reference: string) => (await store.get(reference)).record.mounts,
  }
  const only = { ...hostConfigSchema.parse({}), Mounts: wished, VolumeDriver: host.VolumeDriver }
  const added = await resolveMounts(mountParts, { ...record.config, Volumes: null }, only)
  const gone = new Set([...(RemoveMounts ?? []), ...added.map(({ Destination }) => Destination)])
  const missing = (RemoveMounts ?? []).find(target => !record.mounts.some(({ Destination }) => Destination === target))
  if (missing !== undefined) throw badRequest(`nothing is mounted at ${missing}`)
  const mounts = [...record.mounts.filter(({ Destination }) => !gone.has(Destination)), ...added]
  return { host: withoutTargets(host, gone, wished ?? []), mounts: withPlaces(engine.settings.state, id, mounts) }
}

/** What inspect shows of the wishes goes with the mounts. */
function withoutTargets(
  host: HostConfig,
  gone: ReadonlySet<string>,
  added: NonNullable<HostConfig['Mounts']>,
): HostConfig {
  const binds = (host.Binds ?? []).filter(text => !gone.has(parseBind(text).destination))
  const tmpfs = Object.entries(host.Tmpfs ?? {}).filter(([target]) => !gone.has(target))
  const mounts = [...(host.Mounts ?? []).filter(({ Target }) => !gone.has(Target)), ...added]
  return {
    ...host,
    Binds: binds.length > 0 ? binds : null,
    Tmpfs: host.Tmpfs && Object.fromEntries(tmpfs),
    Mounts: mounts.length > 0 ? mounts : null,
  }
}
