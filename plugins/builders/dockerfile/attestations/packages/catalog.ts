/** Databases and metadata files that tell which packages are installed in a root. */

export interface FoundPackage {
  readonly name: string
  readonly version: string
  /** Package URL. */
  readonly purl: string
  /** As its metadata says it; empty: it says nothing. */
  readonly license: string
}

/** A regular file of the root, whose bytes are asked for when they are needed. */
export interface RootFile {
  /** In the image, with a leading slash. */
  readonly path: string
  /** On this machine. */
  readonly place: string
  /** RESOURCE_EXHAUSTED past what any such file has. */
  read(): Promise<Buffer>
}

/** `ID` and `VERSION_ID` of os-release(5); empty where it says nothing. */
export interface Distribution {
  readonly id: string
  readonly version: string
}

/** One kind of package manager. */
export interface Catalog {
  /** Named in the document: "dpkg". */
  readonly name: string
  matches(path: string): boolean
  /** What cannot be read as such a file holds no packages; INVALID_ARGUMENT: it is one, of a form we do not know. */
  packages(file: RootFile, distribution: Distribution): Promise<FoundPackage[]> | FoundPackage[]
}

/** `pkg:TYPE/NAMESPACE/NAME@VERSION?qualifiers` (package-url specification). */
export function packageUrl(
  type: string,
  path: readonly string[],
  version: string,
  qualifiers: Readonly<Record<string, string>> = {},
): string {
  const parts = path.filter(part => part !== '').map(encodeURIComponent)
  const query = Object.entries(qualifiers).filter(([, value]) => value !== '')
  const suffix = query.map(([key, value]) => `${key}=${encodeURIComponent(value)}`).join('&')
  return `pkg:${type}/${parts.join('/')}@${encodeURIComponent(version)}${suffix === '' ? '' : `?${suffix}`}`
}

/** `debian-12` */
export function distroQualifier({ id, version }: Distribution): string {
  return version === '' ? id : `${id}-${version}`
}

/** Paragraphs of `Key: value` lines (deb-control(5), PKG-INFO): a map each; lines that go on are left out. */
export function paragraphs(text: string): Map<string, string>[] {
  return text.split(/\n\s*\n/).map(paragraph => {
    const pairs = [...paragraph.matchAll(/^([A-Za-z][\w-]*):[ \t]*(.*)$/gm)]
    return new Map(pairs.map(([, key = '', value = '']) => [key.toLowerCase(), value.trim()]))
  })
}
