/** What a failed build ends with: the step, the last it wrote, and the place in the Dockerfile. */
import type { BuildProgress } from './build-progress.ts'

const rule = '------'

/** Empty when no step failed: the error says all then. */
export function failedStep(progress: BuildProgress): string {
  const failed = progress.steps.find(({ step }) => step.error !== '')
  if (failed === undefined) return ''
  const { step, lastLines } = failed
  const shown = [rule, ` > ${step.name}:`, ...lastLines, rule]
  return `${[...shown, ...(step.excerpt === '' ? [] : [step.excerpt])].join('\n')}\n`
}
