/** `docker top`: ps(1) of the host, with the container's processes alone. */
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { messageOf } from '#api/errors/errors.ts'
import type { Core } from '../core-client/core.ts'
import { badRequest, conflict, serverError } from '../http/http-error.ts'
import { isRunning } from './state.ts'
import type { Found } from './store.ts'

const run = promisify(execFile)

export async function topOf(
  found: Found,
  psArgs: string,
  core: Core,
): Promise<{ Titles: string[]; Processes: string[][] }> {
  if (!isRunning(found.state)) throw conflict(`container ${found.id} is not running`)
  const args = (psArgs || '-ef').split(/\s+/).filter(word => word !== '')
  if (args.some(word => /\bpid=|ps_args/.test(word)))
    throw badRequest(`ps_args "${psArgs}": the pid column must keep its title`)
  const { processes } = await core.tasks.listPids({ containerId: found.id })
  const pids = processes.map(({ pid }) => String(pid))
  // By itself ps(1) may show those of its own user alone; some options (`f`, `-e`) do not go with a choice of processes.
  const output = await ps([...args, `-q${pids.join(',')}`]).catch(() => ps(args))
  return select(output, new Set(pids))
}

async function ps(args: readonly string[]): Promise<string> {
  try {
    return (await run('ps', [...args], { timeout: 10_000, maxBuffer: 16 * 1024 * 1024 })).stdout
  } catch (cause) {
    // Its first line says why.
    const [why = ''] = String((cause as { stderr?: unknown }).stderr ?? '').split('\n')
    throw serverError(`ps: ${why || messageOf(cause)}`, { cause })
  }
}

function select(output: string, pids: ReadonlySet<string>): { Titles: string[]; Processes: string[][] } {
  const [head = '', ...lines] = output.split('\n')
  const titles = head.trim().split(/\s+/)
  const column = titles.indexOf('PID')
  if (column < 0) throw serverError("Couldn't find PID field in ps output")
  const rows = lines.filter(line => line.trim() !== '').map(line => splitRow(line, titles.length))
  return { Titles: titles, Processes: rows.filter(row => pids.has(row[column] ?? '')) }
}

/** The last column takes all that is left. */
function splitRow(line: string, columns: number): string[] {
  const words = line.trim().split(/\s+/)
  return words.length <= columns ? words : [...words.slice(0, columns - 1), words.slice(columns - 1).join(' ')]
}
