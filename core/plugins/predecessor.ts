/**
 * A gantryd that was killed leaves plugin processes behind for the moment they need to notice, or for longer when one
 * hangs. Each start notes who it started; the next one ends whom it still finds.
 */
import { readFile, rm, writeFile } from 'node:fs/promises'
import { messageOf } from '#api/errors/errors.ts'
import type { Logger } from '#api/log/log.ts'
import { processAlive, processStartTime, waitProcessExit } from '#api/sys/sys.ts'

/** Long enough to notice its parent's end and to finish what it was doing. */
const graceMs = 2_000

/** Notes the process in `file`. Its start time makes a reused pid harmless. */
export async function remember(file: string, pid: number): Promise<void> {
  try {
    await writeFile(file, JSON.stringify({ pid, startTime: String(processStartTime(pid)) }), { mode: 0o600 })
  } catch (error) {
    // Gone already: its exit is about to be told.
    if (processAlive(pid)) throw error
  }
}

/** Ends the process noted in `file`, if it still runs. */
export async function endPredecessor(file: string, log: Logger): Promise<void> {
  const found = await noted(file)
  if (found && processAlive(found.pid, found.startTime)) {
    log.warn({ pid: found.pid }, 'a process of an earlier gantryd still runs; ending it')
    signal(found.pid, 'SIGTERM', log)
    if (!(await waitProcessExit(found.pid, { startTime: found.startTime, timeoutMs: graceMs }))) {
      signal(found.pid, 'SIGKILL', log)
      await waitProcessExit(found.pid, { startTime: found.startTime, timeoutMs: graceMs })
    }
  }
  await rm(file, { force: true })
}

async function noted(file: string): Promise<{ pid: number; startTime: bigint } | undefined> {
  try {
    const { pid, startTime } = JSON.parse(await readFile(file, 'utf8')) as { pid: number; startTime: string }
    return { pid, startTime: BigInt(startTime) }
  } catch {
    // Missing, or cut short by a crash: a plugin of the SDK sees its parent's end by itself.
    return undefined
  }
}

function signal(pid: number, name: 'SIGTERM' | 'SIGKILL', log: Logger): void {
  try {
    process.kill(pid, name)
  } catch (error) {
    log.debug({ pid, error: messageOf(error) }, 'it ended just now')
  }
}
