/** gantry.services.doctor.v1: findings as they are made. */
import { type DoctorServiceDefinition, Severity } from '#api/gen/gantry/services/doctor/v1/doctor.ts'
import type { ServiceImpl } from '#api/rpc/definition.ts'
import type { Diagnosis, Doctor } from './doctor.ts'

export function doctorService(doctor: Doctor): ServiceImpl<typeof DoctorServiceDefinition> {
  return {
    async *examine({ deep, repair }, { signal }) {
      const findings = doctor.examine({ deep, repair, signal })
      for (;;) {
        const { value, done } = await findings.next()
        if (done) {
          yield { summary: { ...value, examined: BigInt(value.examined) } }
          return
        }
        yield { finding: wireFinding(value) }
      }
    },
  }
}

function wireFinding({ severity, repairError = '', ...rest }: Diagnosis) {
  return {
    ...rest,
    severity: severity === 'damage' ? Severity.SEVERITY_DAMAGE : Severity.SEVERITY_NOTE,
    repairError,
  }
}
