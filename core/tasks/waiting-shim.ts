/** A shim of ours that was started ahead, and waits for its container. */
import { closeSync, writeSync } from 'node:fs'
import { Socket } from 'node:net'
import { type PipedProcess, spawnPiped } from '#api/sys/sys.ts'
import { type ShimSurroundings, shimEnvironment } from './shim-process.ts'

/** Which container it is to serve. */
export interface Assignment {
  namespace: string
  id: string
  /** Absolute path of the bundle. */
  bundle: string
  debug: boolean
}

const answerTimeoutMs = 10_000

/** Fails as `spawnPiped` does. */
export async function startWaitingShim(shimPath: string, surroundings: ShimSurroundings): Promise<WaitingShim> {
  const { address, publishBinary } = surroundings
  const argv = [shimPath, '-address', address, '-publish-binary', publishBinary, 'await']
  return new WaitingShim(await spawnPiped({ argv, env: shimEnvironment(surroundings), cwd: '/' }))
}

/** It ends with our end of its standard input, until it is assigned. */
export class WaitingShim implements Disposable {
  readonly pid: number
  readonly #process: PipedProcess
  #isClosed = false

  constructor(process: PipedProcess) {
    this.pid = process.pid
    this.#process = process
  }

  /** What it answers: how to reach it. Throws when it is gone, or says nothing in time. To be called once. */
  async assign(assignment: Assignment): Promise<string> {
    const { stdin, stdout } = this.#process
    this.#isClosed = true
    try {
      // A pipe that nothing was written to yet takes this at once.
      writeSync(stdin, `${JSON.stringify(assignment)}\n`)
    } finally {
      closeSync(stdin)
    }
    return await firstLine(new Socket({ fd: stdout, readable: true, writable: false }))
  }

  [Symbol.dispose](): void {
    if (this.#isClosed) return
    this.#isClosed = true
    closeSync(this.#process.stdin)
    closeSync(this.#process.stdout)
  }
}

function firstLine(output: Socket): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>()
  let text = ''
  output.on('data', (chunk: Buffer) => {
    text += chunk.toString()
    if (text.includes('\n')) resolve(text.trim())
  })
  output.on('error', reject)
  output.on('close', () => reject(new Error('it ended without an answer')))
  const timer = setTimeout(() => reject(new Error(`no answer in ${answerTimeoutMs} ms`)), answerTimeoutMs)
  return promise.finally(() => {
    clearTimeout(timer)
    output.destroy()
  })
}
