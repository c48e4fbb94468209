/** Verdicts for people, for programs, and for whatever reads JUnit's XML. */
import type { Verdict } from './rule.ts'

export interface Report {
  readonly kind: string
  readonly address: string
  readonly verdicts: readonly Verdict[]
}

/** A line for each rule; under one that failed, why. */
export function verdictText({ outcome, text, message, expected, seen }: Verdict): string {
  if (outcome === 'passed') return `ok      ${text}`
  const detail = [message, expected && `expected: ${expected}`, seen && `seen:     ${seen}`].filter(Boolean)
  return [`FAILED  ${text}`, ...detail.map(line => `        ${line.replaceAll('\n', '\n        ')}`)].join('\n')
}

export function summaryText({ verdicts }: Report): string {
  const failed = verdicts.filter(({ outcome }) => outcome === 'failed').length
  return `${verdicts.length - failed} of ${verdicts.length} rules kept${failed === 0 ? '' : `, ${failed} broken`}`
}

export function toJson(report: Report): string {
  return JSON.stringify(report, null, 2)
}

/** https://github.com/testmoapp/junitxml describes the form that CI systems agree on. */
export function toJunit({ kind, address, verdicts }: Report): string {
  const failures = verdicts.filter(({ outcome }) => outcome === 'failed').length
  const seconds = (ms: number) => (ms / 1000).toFixed(3)
  const total = verdicts.reduce((sum, { durationMs }) => sum + durationMs, 0)
  const counts = `tests="${verdicts.length}" failures="${failures}" time="${seconds(total)}"`
  const cases = verdicts.map(verdict => {
    const { rule, text, message, expected, seen, durationMs } = verdict
    const open = `    <testcase classname="gantry.${kind}.${rule}" name="${xml(text)}" time="${seconds(durationMs)}"`
    if (verdict.outcome === 'passed') return `${open}/>`
    const detail = [expected && `expected: ${expected}`, seen && `seen: ${seen}`].filter(Boolean).join('\n')
    return `${open}>\n      <failure message="${xml(message)}">${xml(detail)}</failure>\n    </testcase>`
  })
  return [
    '<?xml version="1.0" encoding="UTF-8"?>',
    `<testsuites ${counts}>`,
    `  <testsuite name="${kind} at ${xml(address)}" ${counts}>`,
    ...cases,
    '  </testsuite>',
    '</testsuites>',
    '',
  ].join('\n')
}

/** Characters that XML 1.0 cannot hold at all are dropped. */
function xml(text: string): string {
  const entities: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' }
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what XML forbids
  return text.replace(/[\u0000-\u0008\u000b\u000c\u000e-\u001f]/g, '').replace(/[&<>"]/g, char => entities[char] ?? '')
}
