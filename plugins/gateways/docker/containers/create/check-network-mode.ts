/** What a container cannot have that shares a network with the host or with another container. */
import { badRequest, type HttpError } from '../../http/http-error.ts'
import type { Config, HostConfig } from './body.ts'

type Wishes = Pick<HostConfig, 'Links' | 'Dns' | 'ExtraHosts' | 'PortBindings' | 'PublishAllPorts' | 'UTSMode'>

/** 400 in Docker's words (moby, runconfig). `config` is what was asked for, without the image's. */
export function checkNetworkMode(
  mode: string,
  host: Wishes,
  config: Pick<Config, 'Hostname' | 'MacAddress' | 'ExposedPorts'>,
): void {
  const isHost = mode === 'host'
  const isShared = mode.startsWith('container:')
  if (host.UTSMode === 'host' && config.Hostname !== '') throw excluded('hostname and the UTS mode')
  if (isHost && isAny(host.Links)) throw excluded(`host type networking ${links}`)
  if ((isHost || isShared) && config.MacAddress !== '') throw excluded('mac-address and the network mode')
  if (isShared) checkShared(host, config)
}

const links = "can't be used with links. This would result in undefined behavior"

function checkShared(host: Wishes, config: Pick<Config, 'Hostname' | 'ExposedPorts'>): void {
  if (config.Hostname !== '') throw excluded('hostname and the network mode')
  if (isAny(host.Links)) throw excluded(`container type network ${links}`)
  if (isAny(host.Dns)) throw excluded('dns and the network mode')
  if (isAny(host.ExtraHosts)) throw excluded('custom host-to-IP mapping and the network mode')
  if (isAny(host.PortBindings) || host.PublishAllPorts)
    throw excluded('port publishing and the container type network mode')
  if (isAny(config.ExposedPorts)) throw excluded('port exposing and the container type network mode')
}

const isAny = (wishes: object | null | undefined): boolean => Object.keys(wishes ?? {}).length > 0
const excluded = (what: string): HttpError => badRequest(`conflicting options: ${what}`)
