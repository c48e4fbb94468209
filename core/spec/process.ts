/** The container's first process: what the image says, and what was asked for instead. */
import { isAbsolute } from 'node:path'
import { invalidArgument } from '#api/errors/errors.ts'
import type { ImageConfig } from './image-config.ts'

/** Docker's PATH for images that set none. */
const defaultPath = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'

export interface ProcessWish {
  args: string[]
  entrypoint: string[]
  overrideEntrypoint: boolean
  env: string[]
  cwd: string
  terminal: boolean
}

/**
 * Entrypoint, then command. A new entrypoint drops the image's command, which was meant for the image's own;
 * given arguments replace the command. INVALID_ARGUMENT when nothing is left to run.
 */
export function composeArgs(
  wish: Pick<ProcessWish, 'args' | 'entrypoint' | 'overrideEntrypoint'>,
  image: ImageConfig,
): string[] {
  const entrypoint = wish.overrideEntrypoint ? wish.entrypoint : image.entrypoint
  const imageCommand = wish.overrideEntrypoint ? [] : image.cmd
  const args = [...entrypoint, ...(wish.args.length > 0 ? wish.args : imageCommand)]
  if (args.length === 0) throw invalidArgument('no command: the image has none, so process.args must name one')
  return args
}

/**
 * Defaults, the image's variables, then the wishes; the last one wins and keeps the first one's place.
 * A wish without "=" takes a variable away.
 */
export function composeEnv(
  wish: Pick<ProcessWish, 'env' | 'terminal'>,
  image: ImageConfig,
  hostname: string,
): string[] {
  const variables = new Map<string, string>([['PATH', defaultPath]])
  variables.set('HOSTNAME', hostname)
  if (wish.terminal) variables.set('TERM', 'xterm')
  for (const entry of [...image.env, ...wish.env]) apply(variables, entry)
  return [...variables].map(([name, value]) => `${name}=${value}`)
}

function apply(variables: Map<string, string>, entry: string): void {
  const equals = entry.indexOf('=')
  if (equals === 0 || entry === '' || entry.includes('\0'))
    throw invalidArgument(`environment variable "${entry}" has no name`)
  if (equals < 0) variables.delete(entry)
  else variables.set(entry.slice(0, equals), entry.slice(equals + 1))
}

/** INVALID_ARGUMENT unless absolute. */
export function composeCwd(wish: string, image: ImageConfig): string {
  const cwd = wish || image.workingDir || '/'
  if (!isAbsolute(cwd)) throw invalidArgument(`working directory "${cwd}" is not an absolute path`)
  return cwd
}
