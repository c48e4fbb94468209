/** What is kept of a container between two lists: as little as a list and its filters need, since there may be thousands. */

import type { ContainerSummary } from '../../engine/containers.ts'
import { knownHealth } from '../../health/known-health.ts'
import { type ApiVersion, atLeast, newestVersion } from '../../http/api-version.ts'
import { type Found, summaryOf } from '../found.ts'
import { isShown, mountJson, networksJson, wasStarted } from '../inspect.ts'
import { type EndpointJson, type OpenPort, openPorts, portListJson } from '../network-json.ts'
import type { Health } from '../record.ts'
import { type ContainerState, statusText } from '../state.ts'

/** Versions of the API from which on a list has members of its own. */
const bands = ['1.44', '1.45', '1.48', newestVersion] as const
export type Band = 'oldest' | (typeof bands)[number]

/** JSON of a container in the list, but for its status: that grows older. */
interface ItemText {
  head: string
  tail: string
}

export interface Listed extends ContainerSummary {
  now: ContainerState
  /** As the core knows it. */
  health: Health['Status'] | undefined
  createdAtNs: bigint
  snapshotter: string
  /** As `80/tcp`. */
  exposedPorts: readonly string[]
  openPorts: readonly OpenPort[]
  isAttached: boolean
  /** Its text tells ids of these networks; of those it is on, the core tells. */
  namedNetworks: readonly string[]
  texts: ReadonlyMap<Band, ItemText>
}

export function bandOf(version: ApiVersion): Band {
  return bands.findLast(band => band !== newestVersion && atLeast(version, band)) ?? 'oldest'
}

export function listedOf(found: Found, networkIds: ReadonlyMap<string, string>, wanted: Iterable<Band>): Listed {
  const { record, core, state } = found
  const networks = (core.config?.networks ?? []).map(({ network }) => network)
  const { seconds = 0n, nanos = 0 } = core.createdAt ?? {}
  return {
    ...summaryOf(found),
    now: state,
    health: knownHealth(found)?.Status,
    createdAtNs: seconds * 1_000_000_000n + BigInt(nanos),
    snapshotter: core.config?.snapshotter ?? '',
    exposedPorts: Object.keys(record.config.ExposedPorts ?? {}),
    openPorts: openPorts(found),
    isAttached: core.attachments.length > 0,
    namedNetworks: wasStarted(found) && core.attachments.length < networks.length ? networks : [],
    texts: new Map(Array.from(wanted, band => [band, textOf(found, networkIds, band)])),
  }
}

/** `health`: of now, where somebody knows better than the core. */
export function itemText({ texts, now, health: known }: Listed, band: Band, health = known): string {
  const { head, tail } = texts.get(band) ?? { head: '{', tail: '}' }
  return `${head}"Status":${JSON.stringify(statusText(now, health))}${tail}`
}

function textOf(found: Found, networkIds: ReadonlyMap<string, string>, band: Band): ItemText {
  const version = band === 'oldest' ? '1.24' : band
  const { id, name, record, core, state } = found
  const head = {
    Id: id,
    Names: [`/${name}`],
    Image: record.config.Image,
    ImageID: record.imageId,
    ...(atLeast(version, '1.48') &&
      record.manifestDigest && {
        ImageManifestDescriptor: {
          mediaType: 'application/vnd.oci.image.manifest.v1+json',
          digest: record.manifestDigest,
          size: 0,
        },
      }),
    Command: commandText([record.path, ...record.args]),
    Created: Number(core.createdAt?.seconds ?? 0),
    Ports: portListJson(found),
    Labels: record.config.Labels ?? {},
    State: state.name,
  }
  const tail = {
    HostConfig: {
      NetworkMode: record.hostConfig.NetworkMode,
      ...(record.hostConfig.Annotations && { Annotations: record.hostConfig.Annotations }),
    },
    NetworkSettings: { Networks: placesOf(networksJson(found, { networkIds, version })) },
    Mounts: record.mounts.filter(isShown).map(mountJson),
  }
  return { head: `${JSON.stringify(head).slice(0, -1)},`, tail: `,${JSON.stringify(tail).slice(1)}` }
}

/** The list tells where containers are on their networks, not by what names: Docker leaves these members null. */
function placesOf(networks: Record<string, EndpointJson>): object {
  const nameless = (place: EndpointJson) => ({
    ...place,
    ...{ Aliases: null, Links: null },
    ...(place.DNSNames !== undefined && { DNSNames: null }),
  })
  return Object.fromEntries(Object.entries(networks).map(([name, place]) => [name, nameless(place)]))
}

/** Words with blanks are quoted, as Docker shows a command. */
function commandText(words: readonly string[]): string {
  return words
    .map(word => (/[\s']/.test(word) ? `'${word.replaceAll("'", "\\'")}'` : word))
    .join(' ')
    .trim()
}
