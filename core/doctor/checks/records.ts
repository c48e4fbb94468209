import { messageOf } from '#api/errors/errors.ts'
import { type Key, type Metadata, namespaceKey, Pace, touchNamespace } from '#core/metadata/metadata.ts'
import type { Check, Finding, Round } from '../doctor.ts'
import { faultOf } from '../shapes.ts'

/** Every record readable and of its kind's shape, every tenant namespace recorded. */
export function recordsCheck({ metadata }: { metadata: Metadata }): Check {
  return {
    name: 'records',
    async *run(round) {
      const unrecorded = new Set<string>()
      try {
        for await (const entries of metadata.listInSteps(['in'], new Pace()))
          for (const { key, value } of entries) {
            yield* shapeFindings(key, value, round)
            const ns = String(key[1])
            if (metadata.read(tx => tx.get(namespaceKey(ns))) === undefined) unrecorded.add(ns)
          }
      } catch (error) {
        yield unreadable(error)
      }
      for (const ns of unrecorded) yield unrecordedNamespace(metadata, ns)
    },
  }
}

function* shapeFindings(key: Key, value: unknown, round: Round): Generator<Finding> {
  round.count()
  const fault = faultOf(key, value)
  if (fault !== undefined) yield damage(`record ${key.slice(1).join('/')}`, fault)
}

function damage(object: string, problem: string): Finding {
  const advice = 'restore the metadata folder from a copy, or delete the object over the API and make it again'
  return { severity: 'damage', object, problem, advice }
}

function unreadable(error: unknown): Finding {
  return {
    severity: 'damage',
    object: 'metadata store',
    problem: `cannot be read to its end: ${messageOf(error)}`,
    advice: 'restore the metadata folder from a copy; further checks see only a part',
  }
}

function unrecordedNamespace(metadata: Metadata, ns: string): Finding {
  return {
    severity: 'damage',
    object: `namespace ${ns}`,
    problem: 'has objects but no record, so nothing lists or collects them',
    advice: 'repair records it again',
    repair: () => metadata.write(tx => touchNamespace(tx, ns)),
  }
}
