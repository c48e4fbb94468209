/** `doctor`: what does not fit together, a finding a line. */
import { DoctorServiceDefinition, type Finding, Severity } from '#api/gen/gantry/services/doctor/v1/doctor.ts'
import { Exit } from '../exit.ts'
import { printJson } from '../output/json.ts'
import type { Session } from '../session.ts'

interface Flags {
  deep?: boolean
  repair?: boolean
}

/** Leaves with 1 when damage is left. */
export async function doctor(session: Session, { deep = false, repair = false }: Flags): Promise<void> {
  const findings: Finding[] = []
  let counts = { examined: 0n, damage: 0, notes: 0, repaired: 0 }
  for await (const { finding, summary } of session.client(DoctorServiceDefinition).examine({ deep, repair })) {
    if (summary !== undefined) counts = summary
    if (finding === undefined) continue
    findings.push(finding)
    if (!session.json) console.log(lineOf(finding))
  }
  if (session.json) printJson({ findings: findings.map(plain), ...counts })
  else console.log(verdict(counts))
  if (counts.damage > 0) throw new Exit(1)
}

function lineOf(finding: Finding): string {
  const { object, problem, advice } = finding
  return `${labelOf(finding)} ${object} ${problem}: ${finding.repaired ? 'repaired' : advice}${failureOf(finding)}`
}

const labelOf = ({ severity, repaired }: Finding) =>
  repaired ? 'repaired' : severity === Severity.SEVERITY_NOTE ? 'note    ' : 'damage  '

const failureOf = ({ repairError }: Finding) => (repairError === '' ? '' : ` (repair failed: ${repairError})`)

function plain({ severity, ...rest }: Finding) {
  return { severity: severity === Severity.SEVERITY_NOTE ? 'note' : 'damage', ...rest }
}

function verdict({
  examined,
  damage,
  notes,
  repaired,
}: {
  examined: bigint
  damage: number
  notes: number
  repaired: number
}): string {
  const state = damage === 0 ? 'clean' : `${damage} damaged`
  const more = [...(repaired > 0 ? [`${repaired} repaired`] : []), ...(notes > 0 ? [`${notes} notes`] : [])]
  return `${[state, ...more].join(', ')}; ${examined} things examined`
}
