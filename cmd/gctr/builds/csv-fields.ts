/** `KEY=VALUE,KEY=VALUE`, as buildx writes what has several parts. */
import { invalidArgument } from '#api/errors/errors.ts'

/** One record of CSV: a field may stand in quotes, which are doubled within. `flag` is for messages. INVALID_ARGUMENT. */
export function fieldsOf(flag: string, text: string): [string, string][] {
  const fields = [...text.matchAll(/(?:^|,)(?:"((?:[^"]|"")*)"|([^",]*))(?=,|$)/g)]
  const whole = fields.reduce((length, [{ length: one }]) => length + one, 0)
  if (whole !== text.length) throw invalidArgument(`${flag} "${text}": a quote is out of place`)
  return fields.map(([, quoted, plain = '']) => {
    const field = quoted?.replaceAll('""', '"') ?? plain
    const at = field.indexOf('=')
    if (at < 1) throw invalidArgument(`${flag} "${text}": "${field}" is not KEY=VALUE`)
    return [field.slice(0, at).trim().toLowerCase(), field.slice(at + 1)]
  })
}
