/** Programs that print the steps they come by, and may kill themselves at one of them. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'

export interface DyingChild {
  /** In the order it came by them; where it was killed, the last one is where. */
  steps: string[]
  /** By SIGKILL; else it came to its end. */
  isKilled: boolean
}

/** Runs a module of ours with an order as its one argument. Throws, with what it said, when it fails by itself. */
export async function runDyingChild(main: string, order: object, env = process.env): Promise<DyingChild> {
  const argv = [main, JSON.stringify(order)]
  const child = spawn(process.execPath, argv, { stdio: ['ignore', 'pipe', 'pipe'], env })
  let [steps, said] = ['', '']
  child.stdout.setEncoding('utf8').on('data', chunk => {
    steps += chunk
  })
  child.stderr.setEncoding('utf8').on('data', chunk => {
    said += chunk
  })
  const [code, signal] = await once(child, 'close')
  const isKilled = signal === 'SIGKILL'
  if (!isKilled) assert.equal(code, 0, `${argv.join(' ')} failed by itself: ${said.slice(0, 4000)}`)
  return { steps: steps.split('\n').filter(step => step !== ''), isKilled }
}
