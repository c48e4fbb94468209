/** A command, from spawn to exit. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'

/** Throws with what it printed when it does not exit with 0. */
export async function command(argv: readonly string[]): Promise<undefined> {
  const [file = '', ...args] = argv
  const child = spawn(file, args, { stdio: ['ignore', 'ignore', 'pipe'] })
  let said = ''
  child.stderr.on('data', data => {
    said += data
  })
  const [code] = await once(child, 'close')
  if (code !== 0) throw new Error(`${argv.join(' ')} ended with ${code}: ${said}`)
}
