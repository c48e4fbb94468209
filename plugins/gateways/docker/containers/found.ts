/** A container at one moment, as the core tells it and Docker sees it. */
import type { InspectResponse } from '#api/gen/gantry/services/containers/v1/containers.ts'
import type { ContainerSummary } from '../engine/containers.ts'
import { foreignRecord } from './foreign.ts'
import { type DockerRecord, decodeRecord } from './record.ts'
import { type ContainerState, stateOf } from './state.ts'

export interface Found {
  id: string
  /** Without the slash. */
  name: string
  record: DockerRecord
  core: InspectResponse
  state: ContainerState
}

export function foundOf(core: InspectResponse): Found {
  const record = decodeRecord(core.extensions) ?? foreignRecord(core)
  const { id = '', name = '' } = core.config ?? {}
  return { id, name: name || id.slice(0, 12), record, core, state: withFailure(stateOf(core), record) }
}

/** A start that came to nothing leaves its reason, and the exit code that shells have for it. */
function withFailure(state: ContainerState, { failure }: DockerRecord): ContainerState {
  if (failure === undefined || (state.name !== 'created' && state.name !== 'exited')) return state
  const { error, exitCode } = failure
  return { ...state, error, exitCode }
}

export function summaryOf({ id, name, record, core, state }: Found): ContainerSummary {
  return {
    id,
    name,
    image: record.config.Image,
    imageId: record.imageId,
    imageRecord: core.config?.image ?? '',
    state: state.name,
    labels: record.config.Labels ?? {},
    mounts: record.mounts.map(({ Type, Name = '', Source, Destination }) => ({
      type: Type,
      name: Name,
      source: Source,
      destination: Destination,
    })),
    networks: (core.config?.networks ?? []).map(({ network }) => network),
  }
}
