/** in-toto statements (in-toto attestation framework v1): who says what of which artifact. */
import { formatReference, parseReference } from '#api/types/reference.ts'
import type { BuiltStage } from '../outputs/built-stage.ts'
import { imagePurl } from './image-purl.ts'

export interface Predicate {
  /** URI that says how `predicate` is read. */
  readonly type: string
  readonly predicate: object
}

/** Of the image's manifest, under each name it is given. */
export function statement(
  { type, predicate }: Predicate,
  { platform }: Pick<BuiltStage, 'platform'>,
  manifestDigest: string,
  names: readonly string[],
): object {
  const [algorithm = '', hex = ''] = manifestDigest.split(':')
  const subjects =
    names.length === 0 ? ['_'] : names.map(name => imagePurl(formatReference(parseReference(name)), platform))
  return {
    _type: 'https://in-toto.io/Statement/v1',
    subject: subjects.map(name => ({ name, digest: { [algorithm]: hex } })),
    predicateType: type,
    predicate,
  }
}
