/** `--attest`, `--provenance` and `--sbom`, in the words of `docker buildx build`; other than there, nothing is attested that was not asked for. */
import { invalidArgument } from '#api/errors/errors.ts'
import type { BuildOptions } from '#api/gen/gantry/services/builder/v1/builder.ts'

export interface AttestationFlags {
  attest: string[]
  provenance?: string | true
  sbom?: boolean
}

/** INVALID_ARGUMENT: a type or mode that is none. */
export function attestationsOf(flags: AttestationFlags): Pick<BuildOptions, 'provenance' | 'sbom'> {
  const specs = flags.attest.map(text => new Map(text.split(',').map(part => part.split('=', 2) as [string, string])))
  let [provenance, sbom] = ['', flags.sbom ?? false]
  for (const [at, spec] of specs.entries()) {
    const isOff = spec.get('disabled') === 'true'
    if (spec.get('type') === 'provenance') provenance = isOff ? '' : modeOf(spec.get('mode') ?? 'min')
    else if (spec.get('type') === 'sbom') sbom = !isOff
    else throw invalidArgument(`--attest "${flags.attest[at]}": type is provenance or sbom`)
  }
  if (flags.provenance !== undefined) provenance = shortForm(flags.provenance)
  return { provenance, sbom }
}

function shortForm(text: string | true): string {
  if (text === true || text === 'true') return 'min'
  return text === 'false' ? '' : modeOf(text.replace(/^mode=/, ''))
}

function modeOf(mode: string): string {
  if (mode === 'min' || mode === 'max') return mode
  throw invalidArgument(`provenance mode "${mode}": it is min or max`)
}
