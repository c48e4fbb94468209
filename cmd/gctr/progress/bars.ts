/** Bars for a terminal. */
import cliProgress from 'cli-progress'
import type { Progress } from '#api/gen/containerd/types/transfer/progress.ts'
import { formatBytes, shortDigest } from '../output/units.ts'
import type { ProgressView } from './show.ts'

const format = '{name} {state} [{bar}] {done} / {size}'

export function bars(): ProgressView {
  const multi = new cliProgress.MultiBar(
    { format, hideCursor: true, clearOnComplete: false, stream: process.stderr },
    cliProgress.Presets.legacy,
  )
  const byName = new Map<string, cliProgress.SingleBar>()
  return {
    update(progress) {
      if (progress.name === '') return void multi.log(`${progress.event}\n`)
      const total = Math.max(1, Number(progress.total))
      const bar = byName.get(progress.name) ?? multi.create(total, 0, payload(progress))
      byName.set(progress.name, bar)
      bar.setTotal(total)
      bar.update(finished(progress) ? total : Number(progress.progress), payload(progress))
    },
    end: () => multi.stop(),
  }
}

const finished = ({ event }: Progress) => event === 'complete' || event === 'exists' || event === 'extracted'

function payload(progress: Progress) {
  return {
    name: shortDigest(progress.desc?.digest || progress.name).padEnd(24),
    state: progress.event.padEnd(11),
    done: formatBytes(finished(progress) ? progress.total : progress.progress).padStart(10),
    size: formatBytes(progress.total),
  }
}
