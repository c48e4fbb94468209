/** Every package that a root says is installed in it. */
import { messageOf } from '#api/errors/errors.ts'
import { DirectorySource } from '../../files/directory-source.ts'
import { resolvePath } from '../../files/source-tree.ts'
import { apk } from './apk.ts'
import type { Catalog, Distribution, FoundPackage, RootFile } from './catalog.ts'
import { dpkg } from './dpkg.ts'
import { npm } from './npm.ts'
import { pip } from './pip.ts'
import { rootFiles } from './root-files.ts'
import { rpm } from './rpm.ts'

const catalogs: readonly Catalog[] = [dpkg, apk, rpm, npm, pip]

export interface FoundIn extends FoundPackage {
  /** "dpkg" */
  readonly catalog: string
  /** The file that tells of it, in the image. */
  readonly path: string
}

export interface Inventory {
  readonly distribution: Distribution & { readonly title: string }
  /** In the order of files, and within one in its own; the same package in two places is there twice. */
  readonly packages: readonly FoundIn[]
  /** Files that could not be read, with the reason. */
  readonly unread: readonly string[]
}

export async function findPackages(root: string): Promise<Inventory> {
  const distribution = await distributionOf(root)
  const files = await rootFiles(root, path => catalogs.some(one => one.matches(path)))
  const packages: FoundIn[] = []
  const unread: string[] = []
  for (const file of files)
    try {
      packages.push(...(await packagesIn(file, distribution)))
    } catch (error) {
      unread.push(`${file.path}: ${messageOf(error)}`)
    }
  return { distribution, packages, unread }
}

async function packagesIn(file: RootFile, distribution: Distribution): Promise<FoundIn[]> {
  const catalog = catalogs.find(one => one.matches(file.path))
  const found = (await catalog?.packages(file, distribution)) ?? []
  return found.map(one => ({ ...one, catalog: catalog?.name ?? '', path: file.path }))
}

/** os-release(5). */
async function distributionOf(root: string): Promise<Inventory['distribution']> {
  const tree = new DirectorySource(root)
  const entry = await tree.at(await resolvePath(tree, '/etc/os-release'))
  const text = entry?.type === 'file' ? Buffer.concat(await tree.read(entry).toArray()).toString() : ''
  const field = (name: string) => new RegExp(`^${name}=["']?([^"'\\n]*)`, 'm').exec(text)?.[1] ?? ''
  return { id: field('ID'), version: field('VERSION_ID'), title: field('PRETTY_NAME') }
}
