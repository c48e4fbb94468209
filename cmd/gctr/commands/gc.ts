/** `gc plan|explain|run`. */
import { invalidArgument } from '#api/errors/errors.ts'
import {
  type Explanation,
  type Object as GcObject,
  GcServiceDefinition,
  ObjectType,
  type PlannedRemoval,
} from '#api/gen/gantry/services/gc/v1/gc.ts'
import { printJson } from '../output/json.ts'
import { printRecords } from '../output/table.ts'
import { formatBytes } from '../output/units.ts'
import type { Session } from '../session.ts'

const names = new Map<number, string>(
  Object.entries(ObjectType).map(([name, type]) => [type, name.replace('OBJECT_TYPE_', '').toLowerCase()]),
)

export async function plan(session: Session): Promise<void> {
  const removals: PlannedRemoval[] = []
  let totalBytes = 0n
  for await (const block of session.client(GcServiceDefinition).plan({})) {
    removals.push(...block.removals)
    totalBytes += block.totalBytes
  }
  if (session.json)
    return printJson({ removals: removals.map(({ object, ...rest }) => ({ ...named(object), ...rest })), totalBytes })
  if (removals.length > 0)
    printRecords(
      removals,
      {
        TYPE: ({ object }) => typeName(object),
        NAMESPACE: ({ object, leftover }) => (leftover ? '(no record)' : (object?.namespace ?? '')),
        KEY: ({ object }) => object?.key ?? '',
        SIZE: ({ sizeBytes, sizeUnknown }) => (sizeUnknown ? 'unknown' : formatBytes(sizeBytes)),
      },
      false,
    )
  console.log(`${removals.length} objects, ${totalBytes} bytes (${formatBytes(totalBytes)})`)
}

export async function explain(session: Session, flags: { type?: string }, ref: string): Promise<void> {
  const { explanations } = await session.client(GcServiceDefinition).explain({ ref, type: parseType(flags.type) })
  if (session.json)
    return printJson(
      explanations.map(({ object, chain }) => ({
        ...named(object),
        kept: chain.length > 0,
        chain: chain.map(step => ({ ...named(step.object), why: step.why })),
      })),
    )
  for (const explanation of explanations) printExplanation(explanation)
}

export async function collect(session: Session): Promise<void> {
  const { removed, longestStopUs, totalMs } = await session.client(GcServiceDefinition).collect({})
  if (session.json) return printJson({ removed, longestStopUs, totalMs })
  console.log(`${removed} objects removed in ${totalMs} ms; longest stop ${(longestStopUs / 1000).toFixed(1)} ms`)
}

function printExplanation({ object, chain }: Explanation): void {
  const title = `${typeName(object)} ${object?.key ?? ''}`
  console.log(chain.length === 0 ? `${title}: nothing keeps it; the next sweep takes it` : `${title}: kept by`)
  for (const [depth, step] of chain.entries())
    console.log(`${'  '.repeat(depth + 1)}${typeName(step.object)} ${step.object?.key ?? ''} (${step.why})`)
}

function typeName(object: GcObject | undefined): string {
  return names.get(object?.type ?? 0) ?? ''
}

function named(object: GcObject | undefined) {
  return { type: typeName(object), namespace: object?.namespace ?? '', key: object?.key ?? '' }
}

function parseType(text: string | undefined): ObjectType {
  if (text === undefined) return ObjectType.OBJECT_TYPE_UNSPECIFIED
  const found = [...names].find(([type, name]) => type !== 0 && name === text)
  if (found === undefined)
    throw invalidArgument(`--type "${text}" is unknown; one of ${[...names.values()].slice(1).join(', ')}`)
  return found[0] as ObjectType
}
