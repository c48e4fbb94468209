/**
 * The plugin directory: what `add` and `upgrade` put there, a folder for each version, `<kind>-<id>-<version>`. A folder
 * appears whole or not at all, and what a crash left half-made is swept at the next start.
 */
import { cp, lstat, mkdir, mkdtemp, readdir, readFile, rename, rm, stat, symlink } from 'node:fs/promises'
import { basename, dirname, join, resolve } from 'node:path'
import { alreadyExists, invalidArgument, notFound } from '#api/errors/errors.ts'
import { fsyncDir, syncfs } from '#api/sys/sys.ts'
import { type Manifest, readManifest } from './manifests.ts'
import { noStep, type StepHook } from './step.ts'

const unfinished = '.incoming-'

export class PluginDirectory {
  readonly path: string
  readonly #step: StepHook

  constructor(path: string, step: StepHook = noStep) {
    this.path = path
    this.#step = step
  }

  /** Makes it, and removes what never became whole. */
  async open(): Promise<void> {
    await mkdir(this.path, { recursive: true, mode: 0o700 })
    for (const name of await readdir(this.path))
      if (name.startsWith(unfinished)) await rm(join(this.path, name), { recursive: true, force: true })
  }

  /** The manifest at `path`: a folder's, or a file. NOT_FOUND, INVALID_ARGUMENT. */
  async read(path: string): Promise<Manifest> {
    const isFolder = await stat(path).then(
      found => found.isDirectory(),
      () => false,
    )
    const file = isFolder ? join(path, 'plugin.toml') : path
    const manifest = await readManifest(resolve(file))
    if (manifest !== undefined) return manifest
    throw notFound(`plugin manifest ${file}`)
  }

  /** The installed manifest. ALREADY_EXISTS: this version is there. INVALID_ARGUMENT: it names no version. */
  async install(manifest: Manifest, { link = false }: { link?: boolean } = {}): Promise<Manifest> {
    if (manifest.version === '') throw invalidArgument(`plugin manifest ${manifest.path}: it needs a version`)
    const folder = join(this.path, `${manifest.kind}-${manifest.id}-${manifest.version}`)
    if (await exists(folder))
      throw alreadyExists(`version ${manifest.version} of ${manifest.kind} "${manifest.id}" (${folder})`)
    const whole = basename(manifest.path) === 'plugin.toml'
    if (link && !whole) throw invalidArgument(`${manifest.path}: only a folder can be linked to`)
    await (link ? this.#link(dirname(manifest.path), folder) : this.#copy(manifest.path, whole, folder))
    return await this.read(folder)
  }

  async #link(target: string, folder: string): Promise<void> {
    await symlink(target, folder)
    this.#step('linked')
    await fsyncDir(this.path)
  }

  async #copy(path: string, whole: boolean, folder: string): Promise<void> {
    const incoming = await mkdtemp(join(this.path, unfinished))
    this.#step('folder made')
    try {
      if (whole) await copyFolder(dirname(path), incoming)
      else await cp(path, join(incoming, 'plugin.toml'))
      this.#step('copied')
      await syncfs(incoming)
      await rename(incoming, folder)
      this.#step('installed')
      await fsyncDir(this.path)
    } catch (error) {
      await rm(incoming, { recursive: true, force: true })
      throw error
    }
  }

  /** Whether a manifest lies in here. */
  holds(manifest: Pick<Manifest, 'path'>): boolean {
    return manifest.path.startsWith(`${this.path}/`)
  }

  /** Takes a manifest's folder or file away; missing is fine. */
  async uninstall(manifest: Manifest): Promise<void> {
    const inOwnFolder = basename(manifest.path) === 'plugin.toml'
    const path = inOwnFolder ? dirname(manifest.path) : manifest.path
    if (!this.holds({ path })) throw invalidArgument(`${path} is not in ${this.path}`)
    const gone = join(this.path, `${unfinished}gone-${basename(path)}`)
    await rm(gone, { recursive: true, force: true })
    await rename(path, gone)
    this.#step('moved away')
    await rm(gone, { recursive: true, force: true })
    await fsyncDir(this.path)
  }
}

/** Of the names at the top of the folder those stay behind that its `.pluginignore` has, one a line. */
async function copyFolder(from: string, to: string): Promise<void> {
  const text = await readFile(join(from, '.pluginignore'), 'utf8').catch(() => '')
  const ignored = new Set(text.split('\n').filter(Boolean))
  const filter = (source: string) => dirname(source) !== from || !ignored.has(basename(source))
  await cp(from, to, { recursive: true, verbatimSymlinks: true, filter })
}

async function exists(path: string): Promise<boolean> {
  return await lstat(path).then(
    () => true,
    () => false,
  )
}
