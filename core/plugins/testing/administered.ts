/** A gantryd reduced to its plugins: supervisor, registry, plugin directory, administration, on given folders. */
import { join } from 'node:path'
import { openStore } from '#api/store/store.ts'
import { PluginAdministration } from '../administration.ts'
import { PluginDirectory } from '../plugin-directory.ts'
import { PluginRegistry } from '../registry.ts'
import { noStep, type StepHook } from '../step.ts'
import { createSupervisor } from '../supervisor.ts'
import { keepingLogger, type LogLine, quick } from './supervised.ts'

export interface AdministeredOptions {
  readonly home: string
  /** Cgroup that those of the plugins lie in. */
  readonly cgroup: string
  readonly step?: StepHook
  /** Of the file: tables by kind's folder and id. */
  readonly tables?: ConstructorParameters<typeof PluginAdministration>[0]['tables']
}

export async function administered({ home, cgroup, step = noStep, tables = {} }: AdministeredOptions) {
  const root = join(home, 'root')
  const lines: LogLine[] = []
  const log = keepingLogger(lines)
  const store = openStore(join(root, 'metadata'))
  const supervisor = createSupervisor({
    ...{ root, state: join(home, 'state'), instance: '0123abcd', cgroup, coreAddress: join(home, 'core.sock') },
    ...{ log, step, timing: { ...quick, stopMs: 2_000 } },
  })
  const administration = new PluginAdministration({
    ...{ supervisor, root, log, tables, ownDirectories: [], directories: [] },
    registry: new PluginRegistry(store, step),
    directory: new PluginDirectory(join(root, 'plugins'), step),
    inUse: async () => undefined,
  })
  await administration.open()
  return {
    administration,
    supervisor,
    lines,
    async [Symbol.asyncDispose]() {
      administration[Symbol.dispose]()
      await supervisor.stop()
      await store.close()
    },
  }
}
