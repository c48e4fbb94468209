/** A Dockerfile of the corpus with its context, and what is known of what it makes. */

export interface Recipe {
  /** What it is about; unique. */
  readonly name: string
  readonly dockerfile: readonly string[]
  /** The context beside the Dockerfile; `-> x` is a link to x, a trailing slash a directory. */
  readonly files?: Readonly<Record<string, string>>
  /** Folders of this machine, by their path in the context. */
  readonly folders?: Readonly<Record<string, string>>
  /** Flags of `docker build`. */
  readonly flags?: readonly string[]
  /**
   * Paths and contents that must be in the image. Where the classic builder cannot read the file this is all that is
   * compared; else the images are, file by file.
   */
  readonly expects?: Readonly<Record<string, string>>
  /** The classic builder of dockerd 20.10 cannot read it. */
  readonly isNewer?: boolean
}

/** `box:1` of the pair: busybox. */
export const box = 'FROM box:1'
