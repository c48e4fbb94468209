/** `--secret` and `--ssh` of a build, in the words of `docker buildx build`. */
import { readFile } from 'node:fs/promises'
import { invalidArgument } from '#api/errors/errors.ts'

const limitBytes = 500 * 1024

/** `id=NAME[,src=FILE|,env=VARIABLE]`; without source: the variable of that name, else the file. */
export async function secretsOf(texts: readonly string[]): Promise<Record<string, Buffer>> {
  const secrets = texts.map(async text => {
    const fields = new Map(text.split(',').map(part => part.split('=', 2) as [string, string]))
    const id = fields.get('id') ?? fields.get('src') ?? fields.get('source')
    if (id === undefined || id === '')
      throw invalidArgument(`--secret "${text}": it needs an id, as in id=key,src=key.txt`)
    const value = await secretValue(text, id, fields)
    if (value.length > limitBytes)
      throw invalidArgument(`--secret "${id}" has ${value.length} bytes; at most ${limitBytes}`)
    return [id, value] as const
  })
  return Object.fromEntries(await Promise.all(secrets))
}

async function secretValue(text: string, id: string, fields: ReadonlyMap<string, string>): Promise<Buffer> {
  const file = fields.get('src') ?? fields.get('source')
  const name = fields.get('env') ?? (file === undefined ? id : undefined)
  const variable = name === undefined ? undefined : process.env[name]
  if (variable !== undefined) return Buffer.from(variable)
  if (fields.has('env')) throw invalidArgument(`--secret "${text}": the environment has no ${name}`)
  return await readFile(file ?? id)
}

/** `ID[=SOCKET]`; without a socket the one of SSH_AUTH_SOCK. */
export function agentsOf(texts: readonly string[]): Record<string, string> {
  const agents = texts.map(text => {
    const [id = '', socket = process.env.SSH_AUTH_SOCK] = text.split('=', 2)
    if (socket === undefined || socket === '') throw invalidArgument(`--ssh "${text}": SSH_AUTH_SOCK names no agent`)
    return [id, socket] as const
  })
  return Object.fromEntries(agents)
}
