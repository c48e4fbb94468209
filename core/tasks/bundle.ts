/**
 * A task's directory: what a shim is started in, and what the task is found by after a restart of the daemon. It is made and
 * renamed synchronously: a dozen system calls of microseconds, where each turn by the thread pool costs more.
 */
import { existsSync, mkdirSync, renameSync, symlinkSync, writeFileSync } from 'node:fs'
import { readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { alreadyExists } from '#api/errors/errors.ts'
import { foldersIn } from '#api/sys/folders.ts'
import { isSysError, unmount } from '#api/sys/sys.ts'
import { removeTree } from '#api/sys/trees.ts'
import { admitMappedRoot } from './mapped-root.ts'
import { removeShm } from './shared-shm.ts'

const runtimeFolder = 'io.containerd.runtime.v2.task'

/** How to reach a shim: what `start` answered. */
export interface Bootstrap {
  /** Of the Task service: 2 or 3. */
  version: number
  /** `unix://…`, or a bare path for gRPC. */
  address: string
  protocol: 'ttrpc' | 'grpc'
}

export interface Bundle {
  readonly namespace: string
  readonly id: string
  readonly path: string
  /** Durable counterpart, the target of `work`. */
  readonly workPath: string
}

export interface BundleRoots {
  root: string
  state: string
}

export function bundleOf(roots: BundleRoots, namespace: string, id: string): Bundle {
  return {
    namespace,
    id,
    path: join(roots.state, runtimeFolder, namespace, id),
    workPath: join(roots.root, runtimeFolder, namespace, id),
  }
}

/** Takes the bundle's name. ALREADY_EXISTS when there is one (whose task is still to be adopted or removed). */
export async function claimBundle(bundle: Bundle): Promise<void> {
  mkdirSync(join(bundle.path, '..'), { recursive: true, mode: 0o711 })
  try {
    mkdirSync(bundle.path, { mode: 0o700 })
  } catch (cause) {
    if (isSysError(cause, 'EEXIST')) throw alreadyExists(`bundle ${bundle.path}`, { cause })
    throw cause
  }
}

/** Puts into a claimed bundle what a shim's `start` may look for. */
export async function fillBundle(bundle: Bundle, configJson: Uint8Array, shimPath: string): Promise<void> {
  mkdirSync(join(bundle.path, 'rootfs'), { mode: 0o711 })
  mkdirSync(bundle.workPath, { recursive: true, mode: 0o711 })
  symlinkSync(bundle.workPath, join(bundle.path, 'work'))
  writeFileSync(join(bundle.path, 'shim-binary-path'), shimPath, { mode: 0o600 })
  await writeConfig(bundle, configJson)
}

/** Where the images of a checkpoint are that the task goes on from. */
export function restoreFolder(bundle: Bundle): string {
  return join(bundle.path, 'checkpoint')
}

export async function writeConfig(bundle: Bundle, configJson: Uint8Array): Promise<void> {
  writeFileSync(join(bundle.path, 'config.json'), configJson, { mode: 0o600 })
  await admitMappedRoot(bundle.path, configJson)
}

/** Notes (as containerd does) whose shim serves the task: it is not this task's to end. */
export async function markSandboxed(bundle: Bundle, sandboxId: string): Promise<void> {
  writeFileSync(join(bundle.path, 'sandbox'), sandboxId, { mode: 0o600 })
}

export function isSandboxed(bundle: Bundle): boolean {
  return existsSync(join(bundle.path, 'sandbox'))
}

export async function writeBootstrap(bundle: Bundle, bootstrap: Bootstrap): Promise<void> {
  const path = join(bundle.path, 'bootstrap.json')
  // Renamed into place: half a file would make a running shim look like none.
  writeFileSync(`${path}.new`, JSON.stringify(bootstrap), { mode: 0o600 })
  renameSync(`${path}.new`, path)
}

/** What `start` answered; from the file `address` for shims of older daemons; undefined when neither is there. */
export async function readBootstrap(bundle: Bundle): Promise<Bootstrap | undefined> {
  const json = await readOptional(join(bundle.path, 'bootstrap.json'))
  if (json) return JSON.parse(json) as Bootstrap
  const address = await readOptional(join(bundle.path, 'address'))
  return address ? { version: 2, address: address.trim(), protocol: 'ttrpc' } : undefined
}

export async function readShimPath(bundle: Bundle): Promise<string | undefined> {
  return (await readOptional(join(bundle.path, 'shim-binary-path')))?.trim()
}

async function readOptional(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8')
  } catch (error) {
    if (isSysError(error, 'ENOENT')) return undefined
    throw error
  }
}

/**
 * Takes the bundle's name away, so that the id is free and no restart takes the task for a living one. Answers the hidden path,
 * which {@link removeBundle} then removes; undefined when there was no bundle.
 */
export async function hideBundle(bundle: Bundle): Promise<string | undefined> {
  const hidden = join(bundle.path, '..', `.${bundle.id}.${process.hrtime.bigint()}`)
  try {
    renameSync(bundle.path, hidden)
    return hidden
  } catch (error) {
    if (isSysError(error, 'ENOENT')) return undefined
    throw error
  }
}

/** Removes a hidden bundle and its work directory. What is still mounted in it is unmounted first, never emptied. */
export async function removeBundle(hiddenPath: string, workPath?: string): Promise<void> {
  await unmount(join(hiddenPath, 'rootfs'), { detach: true, recursive: true })
  await removeShm(hiddenPath)
  await removeTree(hiddenPath)
  if (workPath) await removeTree(workPath)
}

/** Every bundle there is, and the paths of hidden ones. */
export async function listBundles(roots: BundleRoots): Promise<{ bundles: Bundle[]; hidden: string[] }> {
  const found = { bundles: [] as Bundle[], hidden: [] as string[] }
  for (const { ns, id, path } of await foldersIn(join(roots.state, runtimeFolder))) {
    if (id.startsWith('.')) found.hidden.push(path)
    else found.bundles.push(bundleOf(roots, ns, id))
  }
  return found
}

/** Work directories whose bundle is gone: after a reboot all of them. */
export async function removeStrayWork(roots: BundleRoots, isKnown: (ns: string, id: string) => boolean): Promise<void> {
  for (const { ns, id, path } of await foldersIn(join(roots.root, runtimeFolder)))
    if (!isKnown(ns, id)) await rm(path, { recursive: true, force: true })
}
