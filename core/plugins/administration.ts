/**
 * What an administrator does with plugins: adding, changing and removing them while gantryd runs. What is installed is
 * what the plugin directories hold; what was decided about it is in the registry; the supervisor runs what follows
 * from both.
 *
 * Killed at any step, a verb has either happened or not: a folder appears whole (plugin-directory.ts), a version counts
 * as chosen when the registry says so, and a removal that began is finished at the next start.
 */
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import { KeyedLock } from '#api/concurrency/keyed-lock.ts'
import { alreadyExists, failedPrecondition, invalidArgument, messageOf, notFound } from '#api/errors/errors.ts'
import type { Logger } from '#api/log/log.ts'
import { checkConfig } from './config-schema.ts'
import { logPathOf } from './home.ts'
import { removeLog } from './kept-log.ts'
import { kindTraits, type PluginKind } from './kinds.ts'
import { type Manifest, readManifests } from './manifests.ts'
import type { PluginDirectory } from './plugin-directory.ts'
import type { Decision, PluginRegistry } from './registry.ts'
import type { PluginSpec } from './spec.ts'
import { type PluginTables, pluginSpecs } from './specs.ts'
import type { Supervisor } from './supervisor.ts'
import { DirectoryWatch } from './watch.ts'

export interface PluginName {
  readonly kind: PluginKind
  readonly id: string
}

export interface AdministrationOptions {
  readonly supervisor: Supervisor
  readonly registry: PluginRegistry
  /** Where `add` installs; it comes last, so what is in it wins. */
  readonly directory: PluginDirectory
  /** Gantry's own plugins. */
  readonly ownDirectories: readonly string[]
  /** Further ones, of the configuration. */
  readonly directories: readonly string[]
  /** Where a build left the executables of Gantry's own plugins. */
  readonly binDirectory?: string | undefined
  readonly tables: PluginTables
  /** gantryd's durable directory. */
  readonly root: string
  /** What of a plugin is in use, as a sentence; undefined: nothing. */
  inUse(name: PluginName): Promise<string | undefined>
  readonly log: Logger
}

export interface UpgradeRequest {
  readonly path?: string
  readonly link?: boolean
  readonly version?: string
}

/** What there is, and what it makes of it. */
interface Installed {
  readonly manifests: readonly Manifest[]
  readonly specs: readonly PluginSpec[]
}

export class PluginAdministration implements Disposable {
  readonly #options: AdministrationOptions
  /** One change at a time. */
  readonly #lock = new KeyedLock()
  #watch: DirectoryWatch | undefined
  #faults: readonly string[] = []

  constructor(options: AdministrationOptions) {
    this.#options = options
  }

  /** Finishes what a crash interrupted, fills the table, and from then on follows the directories. */
  async open(): Promise<void> {
    const { supervisor, directory, directories, registry } = this.#options
    await supervisor.sweepLeftovers()
    await directory.open()
    for (const decided of registry.list()) if (decided.removing) await this.#finishRemoval(decided, decided.removing)
    await this.refresh()
    this.#watch = new DirectoryWatch([...directories, directory.path], () => void this.#refreshQuietly())
  }

  /** What is wrong with manifests and configuration tables. */
  get faults(): readonly string[] {
    return this.#faults
  }

  async #refreshQuietly(): Promise<void> {
    try {
      await this.refresh()
    } catch (error) {
      this.#options.log.error({ error: messageOf(error) }, 'the plugin directories could not be read')
    }
  }

  /** Makes the table what the directories, the registry and the configuration say. */
  async refresh(): Promise<void> {
    await this.#lock.run('', async () => {
      const { specs } = await this.#look()
      const { supervisor } = this.#options
      const wanted = new Set(specs.map(({ kind, id }) => `${kind}/${id}`))
      for (const { kind, id } of supervisor.list()) if (!wanted.has(`${kind}/${id}`)) await supervisor.drop(kind, id)
      await Promise.all(specs.map(spec => this.#follow(spec)))
    })
    this.#watch?.renew()
  }

  /** One plugin as the directories have it now. A version that cannot take over is not tried again unasked. */
  async #follow(spec: PluginSpec): Promise<void> {
    const { supervisor, registry, log } = this.#options
    const { kind, id, origin } = spec
    const before = supervisor.specOf(kind, id)
    if (isDeepStrictEqual(before, spec)) return
    try {
      await supervisor.apply(spec)
      if (before?.origin && before.origin !== origin) registry.change(kind, id, { previous: before.origin })
    } catch (error) {
      log.error({ plugin: `${kind}/${id}`, version: spec.version, error: messageOf(error) }, 'not put in place')
      if (before?.origin && before.origin !== origin) registry.change(kind, id, { chosen: before.origin })
    }
  }

  async #look(decide?: PluginName & Decision): Promise<Installed> {
    const { directory, ownDirectories, directories, binDirectory, tables, registry, log } = this.#options
    const { manifests, faults } = await readManifests([...ownDirectories, ...directories, directory.path], {
      ...(binDirectory !== undefined && { binDirectory }),
      builtDirectories: ownDirectories,
    })
    const decisions = registry.list()
    const others = decisions.filter(entry => entry.kind !== decide?.kind || entry.id !== decide?.id)
    const specified = await pluginSpecs({ manifests, tables, decisions: decide ? [...others, decide] : decisions })
    const all = [...faults, ...specified.faults]
    for (const fault of all) if (!this.#faults.includes(fault)) log.error({}, fault)
    this.#faults = all
    return { manifests, specs: specified.specs }
  }

  /** What the given decision would make of the plugin. */
  async #specIf(name: PluginName, decision: Decision): Promise<PluginSpec> {
    const { specs } = await this.#look({ ...decision, ...name })
    const spec = specs.find(({ kind, id }) => kind === name.kind && id === name.id)
    if (spec === undefined) throw notFound(`${name.kind} plugin "${name.id}"`)
    if ('unusable' in spec.source && spec.source.state === 'failed') throw failedPrecondition(spec.source.unusable)
    return spec
  }

  /** Applies the decision, and records it when the plugin has shown that it works. */
  async #decide(name: PluginName, changes: { [K in keyof Decision]: Decision[K] | undefined }): Promise<void> {
    const { registry, supervisor } = this.#options
    const merged = { ...registry.get(name.kind, name.id), ...changes } as Decision
    await supervisor.apply(await this.#specIf(name, merged))
    registry.change(name.kind, name.id, changes)
  }

  /** See `Add` of plugins.proto. */
  async add(
    path: string,
    { link, config = {} }: { link?: boolean; config?: Decision['config'] } = {},
  ): Promise<PluginName> {
    const { directory, registry, supervisor } = this.#options
    const manifest = await directory.read(path)
    const { kind, id } = manifest
    await this.#lock.run('', async () => {
      if (supervisor.specOf(kind, id) !== undefined)
        throw alreadyExists(`${kind} plugin "${id}" (to put another version in place, upgrade it)`)
      if (manifest.configSchemaPath !== undefined)
        await checkConfig(manifest.configSchemaPath, config, `configuration of ${kind} "${id}"`)
      registry.forget(kind, id)
      if (Object.keys(config).length > 0) registry.change(kind, id, { config })
      await directory.install(manifest, { link: link ?? false })
      await supervisor.apply(await this.#specIf({ kind, id }, registry.get(kind, id)))
    })
    this.#watch?.renew()
    return { kind, id }
  }

  async enable(name: PluginName): Promise<void> {
    this.#known(name)
    await this.#lock.run('', () => this.#decide(name, { disabled: undefined }))
  }

  async disable(name: PluginName): Promise<void> {
    this.#known(name)
    await this.#lock.run('', () => this.#decide(name, { disabled: true }))
  }

  /** See `Upgrade` of plugins.proto. */
  async upgrade(name: PluginName | undefined, { path, link, version }: UpgradeRequest): Promise<PluginName> {
    if (path !== undefined) return await this.#upgradeTo(path, link ?? false, name)
    if (name === undefined || version === undefined)
      throw invalidArgument('upgrade needs a path, or an id and a version')
    this.#known(name)
    await this.#lock.run('', async () => {
      const { manifests } = await this.#look()
      const versions = manifests.filter(({ kind, id }) => kind === name.kind && id === name.id)
      const target = versions.findLast(manifest => manifest.version === version)
      if (target === undefined)
        throw notFound(
          `version ${version} of ${name.kind} "${name.id}" (there are: ${versions.map(manifest => manifest.version).join(', ')})`,
        )
      await this.#choose(name, target.path)
    })
    return name
  }

  /** The old version stays chosen until the new one works, whenever we are killed. */
  async #upgradeTo(path: string, link: boolean, wanted: PluginName | undefined): Promise<PluginName> {
    const { directory, registry, supervisor } = this.#options
    const manifest = await directory.read(path)
    const { kind, id } = manifest
    if (wanted !== undefined && (wanted.kind !== kind || wanted.id !== id))
      throw invalidArgument(`${path} is the ${kind} "${id}", not the ${wanted.kind} "${wanted.id}"`)
    this.#known({ kind, id })
    await this.#lock.run('', async () => {
      const chosen = supervisor.specOf(kind, id)?.origin
      if (chosen) registry.change(kind, id, { chosen })
      const installed = await directory.install(manifest, { link })
      try {
        await this.#choose({ kind, id }, installed.path)
      } catch (error) {
        await directory.uninstall(installed)
        throw error
      }
    })
    this.#watch?.renew()
    return { kind, id }
  }

  async #choose(name: PluginName, chosen: string): Promise<void> {
    const previous = this.#options.supervisor.specOf(name.kind, name.id)?.origin || undefined
    await this.#decide(name, { chosen, ...(previous !== chosen && { previous }) })
  }

  async rollback(name: PluginName): Promise<void> {
    this.#known(name)
    await this.#lock.run('', async () => {
      const { previous } = this.#options.registry.get(name.kind, name.id)
      const { manifests } = await this.#look()
      if (previous === undefined || !manifests.some(({ path }) => path === previous))
        throw failedPrecondition(`${name.kind} "${name.id}": there is no earlier version to go back to`)
      await this.#choose(name, previous)
    })
  }

  /** See `Remove` of plugins.proto. */
  async remove(name: PluginName, { purge = false }: { purge?: boolean } = {}): Promise<void> {
    this.#known(name)
    const { registry, inUse } = this.#options
    await this.#lock.run('', async () => {
      const { manifests } = await this.#look()
      this.#refuseForeign(name, manifests)
      const use = await inUse(name)
      if (use !== undefined) throw failedPrecondition(`${name.kind} "${name.id}" is in use: ${use}`)
      const removing = purge ? 'and its data' : 'alone'
      registry.change(name.kind, name.id, { removing })
      await this.#options.supervisor.drop(name.kind, name.id)
      await this.#finishRemoval(name, removing)
    })
    await this.refresh()
  }

  async #purge({ kind, id }: PluginName): Promise<void> {
    const { root } = this.#options
    await rm(join(root, kindTraits[kind].folder, id), { recursive: true, force: true })
    removeLog(logPathOf({ kind, id }, { root }))
  }

  #refuseForeign({ kind, id }: PluginName, manifests: readonly Manifest[]): void {
    const own = manifests.filter(manifest => manifest.kind === kind && manifest.id === id)
    const foreign = own.find(manifest => !this.#options.directory.holds(manifest))
    if (own.length > 0 && foreign === undefined) return
    throw failedPrecondition(
      `${kind} "${id}" was not added with gctr (${foreign?.path ?? 'the configuration names it'}): disable it, or delete it there`,
    )
  }

  async #finishRemoval({ kind, id }: PluginName, removing: Decision['removing']): Promise<void> {
    const { directory, registry } = this.#options
    const { manifests } = await readManifests([directory.path])
    for (const manifest of manifests)
      if (manifest.kind === kind && manifest.id === id) await directory.uninstall(manifest)
    if (removing === 'and its data') await this.#purge({ kind, id })
    registry.forget(kind, id)
  }

  #known({ kind, id }: PluginName): void {
    if (this.#options.supervisor.specOf(kind, id) === undefined) throw notFound(`${kind} plugin "${id}"`)
  }

  [Symbol.dispose](): void {
    this.#watch?.[Symbol.dispose]()
  }
}
