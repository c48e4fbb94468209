/** What `mode=non-blocking` has cost a container's log: the shim keeps the sum beside it (docs/logs.md). */
import { readFile } from 'node:fs/promises'

export interface LogDrops {
  Lines: number
  Bytes: number
}

/** Undefined: nothing was dropped. */
export async function logDropsOf(logFile: string): Promise<LogDrops | undefined> {
  if (logFile === '') return undefined
  const text = await readFile(`${logFile}.drops`, 'utf8').catch(() => undefined)
  if (text === undefined) return undefined
  const { lines, bytes } = JSON.parse(text) as { lines: number; bytes: number }
  return { Lines: lines, Bytes: bytes }
}
