/** Docker's progress stream: JSON objects, one per line, that the docker command draws as a line per layer. */
import { formatSize } from './size-text.ts'

export interface ProgressDetail {
  current?: number
  total?: number
}

export interface ProgressMessage {
  status?: string
  id?: string
  /** What `docker load` and `docker build` print as it is. */
  stream?: string
  progressDetail?: ProgressDetail
  /** The bar as text, for clients that do not draw one. */
  progress?: string
  error?: string
  errorDetail?: { code?: number; message: string }
  aux?: object
}

/** Docker ends these lines as DOS does. */
export function progressLine(message: ProgressMessage): string {
  return `${JSON.stringify(message)}\r\n`
}

export function layerMessage(id: string, status: string): ProgressMessage {
  return { status, progressDetail: {}, id }
}

/** With numbers, and the bar that is drawn of them. */
export function movingMessage(id: string, status: string, current: number, total: number): ProgressMessage {
  return { status, progressDetail: { current, total }, progress: progressBar(current, total), id }
}

export function errorMessage(message: string): ProgressMessage {
  return { errorDetail: { message }, error: message }
}

const barWidth = 50

/** `[=====>      ]  1.5MB/3MB`, as Docker pads it. */
export function progressBar(current: number, total: number): string {
  if (current <= 0 && total <= 0) return ''
  if (total <= 0) return formatSize(current).padStart(8)
  const done = Math.min(barWidth, Math.floor((current / total) * barWidth))
  const spaces = Math.max(0, barWidth - done)
  const bar = `[${'='.repeat(done)}>${' '.repeat(spaces)}]`
  return `${bar} ${formatSize(current).padStart(8)}/${formatSize(total)}`
}
