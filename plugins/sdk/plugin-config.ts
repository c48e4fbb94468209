/**
 * Configuration tables described once, with zod: defaults and units live in the schema, and tools get it as JSON Schema.
 *
 *     import * as z from 'zod'        // not { z }: bundles then leave out what is not used, a third of a plugin's size
 *     const schema = z.strictObject({ mtu: z.int().min(0).default(0).describe('bytes; 0: as the host') })
 *     defineNetwork({ id: 'bridge', ...configOf(schema), … })
 */
import * as z from 'zod'
import { invalidArgument } from '#api/errors/errors.ts'

/** The two configuration members of a plugin definition, from a schema. Use `z.strictObject`: unknown keys are errors. */
export function configOf<S extends z.ZodType>(
  schema: S,
): { parseConfig(raw: unknown): z.output<S>; configSchema: object } {
  return {
    configSchema: z.toJSONSchema(schema, { io: 'input' }),
    parseConfig(raw) {
      const result = schema.safeParse(raw ?? {})
      if (result.success) return result.data
      throw invalidArgument(`configuration: ${result.error.issues.map(sentence).join('; ')}`, { cause: result.error })
    },
  }
}

function sentence(issue: z.core.$ZodIssue): string {
  return issue.path.length === 0 ? issue.message : `${issue.path.join('.')}: ${issue.message}`
}
