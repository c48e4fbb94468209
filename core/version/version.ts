/**
 * The version clients see. It is a feature switch: nerdctl and ctr use server-side Transfer and Streaming when it is a
 * semantic version >= 2.0.0, and drive the pull themselves otherwise. It names the containerd API level we speak; our
 * own name stands behind the `+`, where semantic versioning ignores it.
 */

export interface DaemonVersion {
  /** Semantic version. */
  readonly version: string
  /** Source revision; empty when not known. */
  readonly revision: string
}

/** The API level this core was written against. */
export const apiLevel = '2.1.0+gantry'

export { gitRevision, sourceRevision } from './revision.ts'
export { versionService } from './service.ts'
