/** One run of a plugin's program: spawn, watch, end. Knows nothing of health or restarts. */
import { type ChildProcess, spawn } from 'node:child_process'
import { failedPrecondition, messageOf } from '#api/errors/errors.ts'
import type { Logger } from '#api/log/log.ts'
import type { KeptLog } from './kept-log.ts'
import { LastWords } from './last-words.ts'
import { mergeLog } from './plugin-log.ts'

export interface LaunchRequest {
  argv: readonly string[]
  /** The whole environment. */
  env: Readonly<Record<string, string>>
  cwd: string
  log: Logger
  /** Keeps what it writes. */
  kept: KeptLog
}

export interface PluginProcess {
  readonly pid: number
  /** Resolves, with a sentence that says how, when the process is gone. */
  readonly exited: Promise<string>
  /** The same sentence once it is gone. */
  readonly ended: string | undefined
  readonly lastWords: LastWords
  /** SIGTERM, and SIGKILL when it is still there after `graceMs`; resolves when it is gone. */
  terminate(graceMs: number): Promise<void>
  /** SIGKILL; resolves when it is gone. */
  kill(): Promise<void>
}

/**
 * Starts a program in a session of its own: a Ctrl-C meant for us is not its business, we end it in our own order. Its
 * stdin is a pipe that nobody writes to; it ends when we do, however we end. FAILED_PRECONDITION: it cannot be executed.
 */
export async function launch({ argv, env, cwd, log, kept }: LaunchRequest): Promise<PluginProcess> {
  const [program = '', ...args] = argv
  const child = spawn(program, args, { env: { ...env }, cwd, detached: true, stdio: ['pipe', 'pipe', 'pipe'] })
  const lastWords = new LastWords((stdout, stderr) =>
    Promise.all([
      mergeLog(child.stdout, { log, kept, onLine: stdout }),
      mergeLog(child.stderr, { log, kept, onLine: stderr }),
    ]),
  )
  child.stdin.on('error', () => {})
  await spawned(child, program)
  return watch(child, lastWords)
}

function spawned(child: ChildProcess, program: string): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  child.once('spawn', resolve)
  child.once('error', cause =>
    reject(failedPrecondition(`cannot execute "${program}": ${messageOf(cause)}`, { cause })),
  )
  return promise
}

function watch(child: ChildProcess, lastWords: LastWords): PluginProcess {
  let ended: string | undefined
  const { promise: exited, resolve } = Promise.withResolvers<string>()
  child.once('exit', (code, signal) => {
    ended = signal ? `ended by ${signal}` : `exited with code ${code}`
    resolve(ended)
  })
  // A failed kill(2), such as of a process that is just gone, is told by its exit.
  child.on('error', () => {})
  const kill = async () => {
    child.kill('SIGKILL')
    await exited
  }
  return {
    pid: child.pid ?? 0,
    exited,
    get ended() {
      return ended
    },
    lastWords,
    async terminate(graceMs) {
      child.kill('SIGTERM')
      const timer = setTimeout(() => child.kill('SIGKILL'), graceMs)
      await exited
      clearTimeout(timer)
    },
    kill,
  }
}
