/** A line per change of state, for logs and pipes. */
import { formatBytes, shortDigest } from '../output/units.ts'
import type { ProgressView } from './show.ts'

export function lines(): ProgressView {
  const last = new Map<string, string>()
  return {
    update({ event, name, desc, total }) {
      if (last.get(name) === event) return
      last.set(name, event)
      const what = name === '' ? '' : `${shortDigest(desc?.digest || name)}: `
      console.error(`${what}${event}${total > 0n && event === 'complete' ? ` (${formatBytes(total)})` : ''}`)
    },
    end() {},
  }
}
