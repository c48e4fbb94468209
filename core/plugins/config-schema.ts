/** A plugin's configuration table, checked by the JSON Schema (draft 2020-12) that its manifest names. */
import { readFile } from 'node:fs/promises'
import type { ErrorObject } from 'ajv/dist/2020.js'
import { invalidArgument, messageOf } from '#api/errors/errors.ts'

/** A schema larger than this is somebody's mistake. */
const maxSchemaBytes = 256 * 1024

export type ConfigTable = Readonly<Record<string, unknown>>

/**
 * The table with the schema's defaults filled in. INVALID_ARGUMENT: the schema cannot be read or is none, or the table
 * breaks it: then each fault with its key. `where` names the table in messages.
 */
export async function checkConfig(schemaPath: string, table: ConfigTable, where: string): Promise<ConfigTable> {
  const schema = await readSchema(schemaPath)
  // Most plugins have none: the library is loaded when it is needed.
  const { Ajv2020 } = await import('ajv/dist/2020.js')
  const ajv = new Ajv2020({ allErrors: true, useDefaults: true, strict: false })
  const completed = structuredClone(table)
  let valid: boolean
  try {
    valid = ajv.validate(schema, completed)
  } catch (cause) {
    throw invalidArgument(`configuration schema ${schemaPath}: ${messageOf(cause)}`, { cause })
  }
  if (valid) return completed
  throw invalidArgument(`${where}: ${(ajv.errors ?? []).map(explain).join('; ')}`)
}

async function readSchema(path: string): Promise<object> {
  try {
    const text = await readFile(path, 'utf8')
    if (text.length > maxSchemaBytes) throw new Error(`larger than ${maxSchemaBytes} bytes`)
    const schema: unknown = JSON.parse(text)
    if (typeof schema === 'object' && schema !== null) return schema
    throw new Error('not an object')
  } catch (cause) {
    throw invalidArgument(`configuration schema ${path}: ${messageOf(cause)}`, { cause })
  }
}

function explain({ instancePath, message = 'is wrong', params }: ErrorObject): string {
  const key = instancePath.slice(1).replaceAll('/', '.')
  const unknown = 'additionalProperty' in params ? ` (${String(params.additionalProperty)})` : ''
  const allowed = 'allowedValues' in params ? ` (${(params.allowedValues as unknown[]).join(', ')})` : ''
  return `${key === '' ? '' : `${key} `}${message}${unknown}${allowed}`
}
