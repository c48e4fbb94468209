/** What a step does, as far as it can change what comes out: the cache's key, and the words of an explanation. */
import { createHash } from 'node:crypto'

export interface StepWork {
  readonly kind: 'RUN' | 'copy' | 'WORKDIR'
  /** The instruction as written. It counts for nothing: what it says is in the inputs. */
  readonly text: string
  /** Snapshot it is done on; empty: none. */
  readonly parent: string
  /** By the name that an explanation calls it: "variable PATH", "user", "file /src/a.c". */
  readonly inputs: Readonly<Record<string, unknown>>
  /** Which files changed is told up to this many; the digest of all of them is an input anyway. */
  readonly files?: ReadonlyMap<string, string>
}

const mostFilesKept = 4096

/** Equal for equal work. */
export function stepKey({ kind, parent, inputs }: StepWork): string {
  return sha256(JSON.stringify([kind, parent, Object.entries(inputs)]))
}

/** A step's key in the form that records of caches have. */
export function digestOfStep(key: string): string {
  return `sha256:${key}`
}

/** Digests, for values may be long, or nobody's business. */
export function inputDigests({ inputs, files = new Map() }: StepWork): Record<string, string> {
  const digests = Object.entries(inputs).map(([name, value]) => [
    name,
    sha256(JSON.stringify(value) ?? '').slice(0, 16),
  ])
  const kept =
    files.size > mostFilesKept ? [] : [...files].map(([path, digest]) => [`file ${path}`, digest.slice(0, 16)])
  return Object.fromEntries([...digests, ...kept])
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex')
}
