/** Where this installation's other files are, whether gantryd runs from source or from `build/lib`. */
import { existsSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { kindFolders } from '#core/plugins/plugins.ts'

/** The repository, or the folder that `build/` lies in. */
const home = findHome(import.meta.dirname)

function findHome(from: string): string {
  for (let folder = from; folder !== dirname(folder); folder = dirname(folder))
    if (existsSync(join(folder, 'plugins')) || existsSync(join(folder, 'build', 'bin'))) return folder
  return from
}

/** Launchers and the shim. */
export const executableFolder = join(home, 'build', 'bin')

/** A build's launchers run a build's plugins; from source, plugins run from source. */
export const isBuilt = import.meta.filename.endsWith('.js')

/** Folders with the plugins that belong to Gantry. */
export const pluginFolders = kindFolders.map(folder => join(home, 'plugins', folder))

/** What a shim may run to hand in an event: it has a `publish` command. */
export const publishBinary = join(executableFolder, 'gctr')

/** GANTRY_SHIM names our shim's executable while it is being worked on. */
export function shimOverrides(): Record<string, string> {
  const shim = process.env.GANTRY_SHIM
  return shim ? { 'containerd-shim-gantry-v1': shim } : {}
}
