/** One call of one CNI binary: CNI spec 1.1, section 2. */
import { access, constants } from 'node:fs/promises'
import { join } from 'node:path'
import {
  failedPrecondition,
  type GantryError,
  internal,
  invalidArgument,
  notFound,
  unavailable,
} from '#api/errors/errors.ts'
import { isSysError, spawnDetached } from '#api/sys/sys.ts'

export type CniVerb = 'ADD' | 'DEL' | 'CHECK' | 'GC' | 'STATUS' | 'VERSION'

export interface CniCall {
  readonly verb: CniVerb
  /** Name of the binary. */
  readonly type: string
  /** Its standard input. */
  readonly config: object
  readonly containerId?: string
  readonly netns?: string
  readonly interfaceName?: string
  readonly args?: string
}

/** Error codes of the spec that mean something for a caller. */
const codes: Readonly<Record<number, (message: string) => GantryError>> = {
  1: invalidArgument,
  2: invalidArgument,
  3: notFound,
  4: invalidArgument,
  7: invalidArgument,
  11: unavailable,
  50: unavailable,
  51: unavailable,
}

/**
 * Answers what it printed, as JSON; undefined when it printed nothing. A binary that is nowhere: NOT_FOUND. What it refuses
 * has the code nearest to its own, and its words.
 */
export async function execute(call: CniCall, binDirectories: readonly string[]): Promise<unknown> {
  const { verb, type, config } = call
  const path = await findBinary(type, binDirectories)
  const { code, stdout, stderr } = await spawnDetached({
    argv: [path],
    cwd: '/',
    stdin: Buffer.from(JSON.stringify(config)),
    env: environmentOf(call, binDirectories),
  }).catch(error => {
    throw isSysError(error) ? internal(`CNI binary ${path} does not start (${error.code})`, { cause: error }) : error
  })
  const output = parse(stdout.toString())
  if (code === 0) return output
  throw refusal(`CNI ${type} ${verb}`, output, stderr.toString().trim() || `exit code ${code}`)
}

function environmentOf({ verb, containerId, netns, interfaceName, args }: CniCall, path: readonly string[]) {
  return {
    PATH: process.env.PATH ?? '/usr/sbin:/usr/bin:/sbin:/bin',
    CNI_COMMAND: verb,
    CNI_PATH: path.join(':'),
    ...(containerId === undefined ? {} : { CNI_CONTAINERID: containerId }),
    ...(netns === undefined ? {} : { CNI_NETNS: netns }),
    ...(interfaceName === undefined ? {} : { CNI_IFNAME: interfaceName }),
    ...(args === undefined ? {} : { CNI_ARGS: args }),
  }
}

async function findBinary(type: string, directories: readonly string[]): Promise<string> {
  for (const directory of directories) {
    const path = join(directory, type)
    const isThere = await access(path, constants.X_OK).then(
      () => true,
      () => false,
    )
    if (isThere) return path
  }
  throw notFound(`CNI binary "${type}" is in none of ${directories.join(', ')}: install it there`)
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

function refusal(what: string, output: unknown, fallback: string): GantryError {
  const { code, msg, details } = (output ?? {}) as { code?: number; msg?: string; details?: string }
  const words = [msg, details].filter(text => text).join(': ') || fallback
  const make = code === undefined ? failedPrecondition : (codes[code] ?? failedPrecondition)
  return make(`${what}: ${words}`)
}
