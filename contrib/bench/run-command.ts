/** A command, from spawn to exit: how the work of a row is done. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'

export interface CommandOptions {
  env?: Readonly<Record<string, string>>
  /** Killed after so long; default 120 s. */
  limitMs?: number
}

/** Throws with what it printed when it does not exit with 0. */
export async function command(argv: readonly string[], options: CommandOptions = {}): Promise<undefined> {
  const [file = '', ...args] = argv
  const { env = {}, limitMs = 120_000 } = options
  const child = spawn(file, args, {
    ...{ stdio: ['ignore', 'ignore', 'pipe'], env: { ...process.env, ...env } },
    ...{ timeout: limitMs, killSignal: 'SIGKILL' },
  })
  let said = ''
  child.stderr?.on('data', (chunk: Buffer) => {
    said = (said + chunk.toString()).slice(-2000)
  })
  const [code, signal] = await once(child, 'close')
  if (code !== 0) throw new Error(`${argv.join(' ')} ended with ${code ?? signal}: ${said.trim()}`)
}
