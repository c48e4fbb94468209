/** A command, its output and its exit code. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { patience } from './patience.ts'

export interface CommandOutcome {
  code: number
  stdout: string
  stderr: string
}

export interface CommandOptions {
  stdin?: string
  env?: Record<string, string>
  /** Killed after so long; default 60 s (times patience). */
  timeoutMs?: number
}

export async function runCommand(
  argv: readonly string[],
  { stdin = '', env = {}, timeoutMs = 60_000 * patience }: CommandOptions = {},
): Promise<CommandOutcome> {
  const [file = '', ...args] = argv
  const child = spawn(file, args, { env: { ...process.env, ...env }, timeout: timeoutMs })
  const output = { stdout: '', stderr: '' }
  for (const name of ['stdout', 'stderr'] as const)
    child[name].on('data', (chunk: Buffer) => {
      output[name] += chunk.toString()
    })
  // A command that ends early closes its input: no news.
  child.stdin.on('error', () => {})
  child.stdin.end(stdin)
  const [code, signal] = await once(child, 'close')
  return { code: code ?? (signal === null ? 1 : 128), ...output }
}
