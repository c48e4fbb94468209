/** What a build took in besides its context: images, by digest. */
export interface Material {
  /** A package URL. */
  readonly uri: string
  /** `sha256:…` */
  readonly digest: string
}

export class Materials {
  readonly #known = new Map<string, Material>()

  /** Once for each name and digest. */
  add(material: Material): void {
    this.#known.set(`${material.uri} ${material.digest}`, material)
  }

  /** In an order that does not depend on which stage was quicker. */
  list(): Material[] {
    return [...this.#known].toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([, material]) => material)
  }
}
