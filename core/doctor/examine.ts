import { setTimeout as sleep } from 'node:timers/promises'
import { messageOf } from '#api/errors/errors.ts'
import type { Check, Diagnosis, ExamineOptions, Finding, Summary } from './doctor.ts'

/** Calls in flight have finished what they had half done after so long, as a rule. */
const settleMs = 400

/** Runs checks; see doctor.ts. */
export class Doctor {
  readonly #checks: readonly Check[]

  constructor(checks: readonly Check[]) {
    this.#checks = checks
  }

  /** All confirmed findings, check by check; returns the summary. */
  async *examine({ deep = false, repair = false, signal }: ExamineOptions = {}): AsyncGenerator<Diagnosis, Summary> {
    const summary = { examined: 0, damage: 0, notes: 0, repaired: 0 }
    for (const check of this.#checks) {
      const count = () => void summary.examined++
      for (const finding of await confirmed(check, deep, count, signal)) {
        const diagnosis = await diagnose(check, finding, repair)
        if (diagnosis.repaired) summary.repaired++
        else if (diagnosis.severity === 'note') summary.notes++
        else summary.damage++
        yield diagnosis
      }
    }
    return summary
  }
}

/** Findings of two runs with the same identity; one run when there are none. */
async function confirmed(
  check: Check,
  deep: boolean,
  count: () => void,
  signal: AbortSignal | undefined,
): Promise<Finding[]> {
  const first = await gather(check, deep, count, signal)
  if (first.length === 0) return []
  await sleep(settleMs)
  const suspects = new Set(first.map(identity))
  const second = await gather(check, deep, () => {}, signal)
  return second.filter(finding => suspects.has(identity(finding)))
}

async function gather(
  check: Check,
  deep: boolean,
  count: () => void,
  signal: AbortSignal | undefined,
): Promise<Finding[]> {
  const findings: Finding[] = []
  try {
    for await (const finding of check.run({ deep, count })) {
      signal?.throwIfAborted()
      findings.push(finding)
    }
  } catch (error) {
    signal?.throwIfAborted()
    findings.push(unfinished(check, error))
  }
  return findings
}

function unfinished({ name }: Check, error: unknown): Finding {
  return {
    severity: 'damage',
    object: `check ${name}`,
    problem: `could not be finished: ${messageOf(error)}`,
    advice: 'mend what else is found, then examine again',
  }
}

const identity = ({ object, problem }: Finding) => `${object}\0${problem}`

async function diagnose(check: Check, { repair: mend, ...finding }: Finding, mayRepair: boolean): Promise<Diagnosis> {
  const told = { ...finding, check: check.name, repairable: mend !== undefined }
  if (!mayRepair || mend === undefined) return { ...told, repaired: false }
  try {
    await mend()
    return { ...told, repaired: true }
  } catch (error) {
    return { ...told, repaired: false, repairError: messageOf(error) }
  }
}
