/** Reading the store for checks. */
import { type Metadata, namespaceNames, type ObjectKind, objectKey, Pace } from '#core/metadata/metadata.ts'
import { faultOf } from './shapes.ts'

export interface Stored<T> {
  readonly ns: string
  /** The key's elements behind the kind. */
  readonly rest: readonly string[]
  readonly value: T
}

/** All well-formed records of a kind in all tenant namespaces, in turns; of the others the check of records tells. */
export async function* stored<T>(metadata: Metadata, kind: ObjectKind): AsyncGenerator<Stored<T>> {
  const pace = new Pace()
  for (const ns of metadata.read(namespaceNames))
    for await (const entries of metadata.listInSteps<T>(objectKey(ns, kind), pace))
      for (const { key, value } of entries)
        if (faultOf(key, value) === undefined) yield { ns, rest: key.slice(3).map(String), value }
}

export function isStored(metadata: Metadata, ns: string, kind: ObjectKind, ...rest: string[]): boolean {
  return metadata.read(tx => tx.get(objectKey(ns, kind, ...rest))) !== undefined
}
