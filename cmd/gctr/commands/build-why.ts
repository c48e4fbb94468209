/** `gctr build why`: which input of a step missed the cache. */
import { notFound } from '#api/errors/errors.ts'
import type { ExplainedStep } from '#api/gen/gantry/services/builder/v1/builder.ts'
import { reachBuilder } from '../builds/builder-client.ts'
import { printJson } from '../output/json.ts'
import type { Session } from '../session.ts'

/** Without `step`: each one that was not cached. NOT_FOUND: the build has no such step. */
export async function why(session: Session, flags: { build: string }, step?: string): Promise<void> {
  using client = await reachBuilder(session)
  const { buildId, startedAt, steps } = await client.builder.explain({ buildId: flags.build })
  const chosen = step === undefined ? steps.filter(({ missReason }) => missReason !== '') : steps.filter(meant(step))
  if (step !== undefined && chosen.length === 0) throw notFound(`step "${step}" in build ${buildId}`)
  if (session.json) return printJson({ buildId, startedAt, steps: chosen })
  if (chosen.length === 0) console.log('every step that can be cached was')
  for (const { name, cached, missReason } of chosen)
    console.log(`${name}\n  ${cached ? 'cached' : missReason || 'nothing to cache: it only sets the configuration'}`)
}

/** A number is the step's place, anything else a part of its text. */
function meant(step: string): (one: ExplainedStep) => boolean {
  if (/^\d+$/.test(step)) return ({ number }) => number === Number(step)
  return ({ name }) => name.toLowerCase().includes(step.toLowerCase())
}
