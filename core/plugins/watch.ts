/** Tells when something changes in plugin directories: a folder dropped, a manifest edited. */
import { type FSWatcher, readdirSync, watch } from 'node:fs'
import { join } from 'node:path'

/** A folder that is being copied is looked at when it has come to rest. */
const restMs = 250

export class DirectoryWatch implements Disposable {
  readonly #directories: readonly string[]
  readonly #changed: () => void
  readonly #watchers = new Map<string, FSWatcher>()
  #timer: NodeJS.Timeout | undefined
  #closed = false

  /** Calls back after the directories, or the folders directly in them, have changed and come to rest. */
  constructor(directories: readonly string[], changed: () => void) {
    this.#directories = directories
    this.#changed = changed
    this.renew()
  }

  /** Watches folders that are new, and lets go of those that went; a directory that is missing is tried again then. */
  renew(): void {
    if (this.#closed) return
    const wanted = new Set(this.#directories.flatMap(directory => [directory, ...foldersIn(directory)]))
    for (const [path, watcher] of this.#watchers)
      if (!wanted.has(path)) {
        watcher.close()
        this.#watchers.delete(path)
      }
    for (const path of wanted) if (!this.#watchers.has(path)) this.#watch(path)
  }

  #watch(path: string): void {
    try {
      const watcher = watch(path, { persistent: false }, () => this.#stirred())
      // The folder went; the one above tells of it.
      watcher.on('error', () => {})
      this.#watchers.set(path, watcher)
    } catch {
      // Not there.
    }
  }

  #stirred(): void {
    clearTimeout(this.#timer)
    this.#timer = setTimeout(() => {
      this.renew()
      this.#changed()
    }, restMs).unref()
  }

  [Symbol.dispose](): void {
    this.#closed = true
    clearTimeout(this.#timer)
    for (const watcher of this.#watchers.values()) watcher.close()
  }
}

function foldersIn(directory: string): string[] {
  try {
    return readdirSync(directory, { withFileTypes: true })
      .filter(entry => entry.isDirectory() && !entry.name.startsWith('.'))
      .map(entry => join(directory, entry.name))
  } catch {
    return []
  }
}
