/** Content digests (OCI image spec, descriptor.md#digests). Only sha256 is accepted: it is what is stored and verified. */
import { createHash } from 'node:crypto'
import { invalidArgument } from '../errors/errors.ts'

/** `sha256:` and 64 lower-case hexadecimal digits, checked. */
export type Digest = `sha256:${string}` & { readonly __brand: 'Digest' }
/** Digest of one uncompressed layer tar. */
export type DiffID = Digest & { readonly __diffID?: true }
/** Digest that names a stack of layers (OCI image spec, config.md#layer-chainid). */
export type ChainID = Digest & { readonly __chainID?: true }

const pattern = /^sha256:[0-9a-f]{64}$/

/** True for a well-formed sha256 digest. */
export function isDigest(value: string): value is Digest {
  return pattern.test(value)
}

/** The value as a digest. INVALID_ARGUMENT, in containerd's words, when it is none. */
export function parseDigest(value: string): Digest {
  if (!isDigest(value)) throw invalidArgument(`"${value}" failed validation`, { bare: true })
  return value
}

/** The digest of some bytes held in memory. */
export function sha256Digest(bytes: Uint8Array | string): Digest {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}` as Digest
}

/** The 64 hexadecimal digits, for file names. */
export function digestHex(digest: Digest): string {
  return digest.slice('sha256:'.length)
}

/**
 * ChainIDs of each prefix of a layer stack: the n-th names layers 0..n.
 * ChainID(L0) = DiffID(L0); ChainID(L0|..|Ln) = sha256(ChainID(L0|..|Ln-1) + " " + DiffID(Ln)).
 */
export function chainIDs(diffIDs: readonly DiffID[]): ChainID[] {
  const chain: ChainID[] = []
  for (const diffID of diffIDs) {
    const below = chain.at(-1)
    chain.push(below === undefined ? diffID : sha256Digest(`${below} ${diffID}`))
  }
  return chain
}
