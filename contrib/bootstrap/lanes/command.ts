/** Runs a program of the tool chain, its output passed on and kept. */
import { spawn } from 'node:child_process'

export interface CommandResult {
  code: number
  output: string
}

/** stdout and stderr go to the terminal when the command fails, or as they come with `live`. */
export async function runCommand(
  argv: readonly string[],
  options: { cwd: string; live?: boolean },
): Promise<CommandResult> {
  const [file = '', ...args] = argv
  const child = spawn(file, args, { cwd: options.cwd, stdio: ['ignore', 'pipe', 'pipe'] })
  let output = ''
  const take = (chunk: Buffer) => {
    output += chunk.toString()
    if (options.live) process.stdout.write(chunk)
  }
  child.stdout.on('data', take)
  child.stderr.on('data', take)
  const { promise, resolve } = Promise.withResolvers<number>()
  child.once('error', error => {
    output += error.message
    resolve(127)
  })
  child.once('close', code => resolve(code ?? 1))
  const code = await promise
  if (code !== 0 && !options.live) process.stdout.write(output)
  return { code, output }
}
