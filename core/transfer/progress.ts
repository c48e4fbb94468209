/** Progress of a transfer's objects, in containerd's events, at a rate that people and streams can take. */
import type { OciDescriptor } from '#api/types/oci.ts'
import { refKey } from './object-names.ts'
import type { Progress, ProgressSink } from './transfer.ts'

/** Milliseconds between two reports about one object's bytes. */
const intervalMs = 100

export class ProgressTracker {
  readonly #sink: ProgressSink | undefined
  readonly #root: string
  readonly #parents = new Map<string, string[]>()
  readonly #lastReport = new Map<string, number>()
  readonly #announced = new Set<string>()

  /** `root` is the name of what has no parent: the image. */
  constructor(root: string, sink: ProgressSink | undefined) {
    this.#root = root
    this.#sink = sink
  }

  /** About the transfer as a whole. */
  say(event: string, details: Omit<Progress, 'event'> = {}): void {
    this.#sink?.({ event, ...details })
  }

  /** Call before {@link waiting} of the children. */
  adopt(parent: OciDescriptor, children: readonly OciDescriptor[]): void {
    for (const child of children) {
      const known = this.#parents.get(child.digest) ?? []
      this.#parents.set(child.digest, [...known, refKey(parent)])
    }
  }

  /** Once per object, whatever number of parents it has. */
  waiting(object: OciDescriptor): void {
    if (this.#announced.has(object.digest)) return
    this.#announced.add(object.digest)
    this.#report('waiting', object, 0)
  }

  /** `downloading`, `uploading`, `extracting` with the bytes so far. */
  moving(event: string, object: OciDescriptor, bytes: number): void {
    const key = `${event} ${object.digest}`
    const now = performance.now()
    if (now - (this.#lastReport.get(key) ?? -intervalMs) < intervalMs) return
    this.#lastReport.set(key, now)
    this.#report(event, object, bytes)
  }

  complete(object: OciDescriptor): void {
    this.#report('complete', object, object.size)
  }

  exists(object: OciDescriptor): void {
    this.waiting(object)
    this.#report('already exists', object, object.size)
  }

  extracted(object: OciDescriptor): void {
    this.#report('extracted', object, object.size)
  }

  #report(event: string, object: OciDescriptor, progress: number): void {
    const parents = this.#parents.get(object.digest) ?? [this.#root]
    this.#sink?.({ event, name: refKey(object), parents, progress, total: object.size, descriptor: object })
  }
}
