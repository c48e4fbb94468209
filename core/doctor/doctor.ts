/**
 * The doctor: does everything the daemon keeps fit together? Each *check* compares one kind of record with what it
 * stands for (files, backends' snapshots, tasks, mounts) and yields *findings*.
 *
 * | check | compares |
 * |---|---|
 * | records | every record with its shape; each with its tenant namespace |
 * | content | blob records with files (size; deeply: digest), files with records, ingests |
 * | snapshots | records with backends, parents, the children index, unfinished commits |
 * | leases | resources with their objects, holds with their leases |
 * | containers | records with snapshots, images, folders |
 * | networks | attachments and pinned network namespaces with tasks and networks |
 * | tasks | bundles and shims with tasks and records |
 * | mounts | the host's mount table with bundles, pins and activations |
 *
 * The daemon goes on meanwhile, so what a call in flight has half done looks like damage for a moment. Therefore a
 * finding counts only when the same check finds it again a little later.
 *
 * A *repair* never takes away what anything could still use: it removes what nobody owns, mends indexes, and drops
 * records whose bytes are gone or false (so that a pull fetches them again). The rest is advice.
 */

/** `damage`: broken, or nobody's. `note`: allowed, and perhaps not meant. */
export type Severity = 'damage' | 'note'

export interface Finding {
  readonly severity: Severity
  /** What it is about, also its identity within the check: `blob n/sha256:…`. */
  readonly object: string
  readonly problem: string
  readonly advice: string
  /** Mends it; absent: a person must. May be called once. */
  readonly repair?: () => Promise<void> | void
}

/** A finding that was confirmed, and what became of it. */
export interface Diagnosis extends Omit<Finding, 'repair'> {
  readonly check: string
  readonly repairable: boolean
  readonly repaired: boolean
  /** Why the repair failed. */
  readonly repairError?: string
}

export interface Summary {
  /** Things looked at. */
  readonly examined: number
  /** Damage found and not mended. */
  readonly damage: number
  readonly notes: number
  readonly repaired: number
}

export interface ExamineOptions {
  /** Read every blob and compare its digest. */
  readonly deep?: boolean
  readonly repair?: boolean
  readonly signal?: AbortSignal
}

/** One comparison. Yields findings; counts what it looks at. */
export interface Check {
  readonly name: string
  run(round: Round): AsyncGenerator<Finding>
}

export interface Round {
  readonly deep: boolean
  /** Called for each thing looked at. */
  count(): void
}

export { allChecks, type DoctorParts } from './all-checks.ts'
export { Doctor } from './examine.ts'
export { doctorService } from './service.ts'
