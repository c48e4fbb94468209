/** What a build is to leave behind, read from its flags; and what of it the builder must be asked for. */
import { invalidArgument } from '#api/errors/errors.ts'
import type { BuildOptions } from '#api/gen/gantry/services/builder/v1/builder.ts'
import { formatReference, parseReference } from '#api/types/reference.ts'
import { annotationsOf } from './annotation-flags.ts'
import { type OutputSpec, parseOutput } from './output-spec.ts'

export interface OutputFlags {
  tag: string[]
  output: string[]
  push?: boolean
  annotation: string[]
}

export interface Outputs {
  readonly specs: readonly OutputSpec[]
  /** In full. */
  readonly names: readonly string[]
  /** Something is written to standard output, which then has room for nothing else. */
  readonly takesStdout: boolean
}

/** INVALID_ARGUMENT: outputs that do not go together. */
export function outputsOf(flags: OutputFlags): Outputs {
  const texts = [...flags.output, ...(flags.push ? ['type=registry'] : [])]
  const specs = (texts.length === 0 ? ['type=image'] : texts).map(parseOutput)
  const names = [...flags.tag, ...specs.flatMap(spec => spec.names)].map(name => formatReference(parseReference(name)))
  if (specs.some(({ push }) => push) && names.length === 0) throw invalidArgument('to push an image, name it: --tag')
  const toStdout = specs.filter(({ dest }) => dest === '-')
  if (toStdout.length > 1) throw invalidArgument('only one output can go to standard output')
  if (toStdout.length === 1 && process.stdout.isTTY)
    throw invalidArgument('an archive is nothing for a terminal: redirect standard output, or name a file')
  return { specs, names: [...new Set(names)], takesStdout: toStdout.length === 1 }
}

/** `lease` holds what is not an image. */
export function askedOf({ specs, names }: Outputs, flags: OutputFlags, lease: string): Partial<BuildOptions> {
  const images = specs.filter(isImage)
  const formats = new Set(images.map(({ isDockerFormat }) => isDockerFormat))
  if (formats.size > 1) throw invalidArgument('one build makes an image in one format, OCI or Docker: build it twice')
  return {
    names: [...names],
    annotations: annotationsOf([...flags.annotation, ...images.flatMap(({ annotations }) => annotations)]),
    dockerMediaTypes: formats.has(true),
    noImage: images.length === 0,
    rootArchiveLease: specs.every(isImage) ? '' : lease,
  }
}

export function isImage({ type }: OutputSpec): boolean {
  return type !== 'local' && type !== 'tar'
}
