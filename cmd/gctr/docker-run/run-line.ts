/** The `docker run` line that would make a container again. */
import { configFlags, hostFlags, networkFlags } from './flags.ts'
import type { DockerRecord } from './record.ts'

/**
 * Words of the command, unquoted. An entry point of several words is said as its first one, and the rest before the command:
 * the flag takes one.
 */
export function runWords(record: DockerRecord, { id, name }: { id: string; name: string }): string[] {
  const { config, hostConfig } = record
  const [program = '', ...first] = config.Entrypoint
  const hasOwnName = hostConfig.NetworkMode !== 'host' && !hostConfig.NetworkMode.startsWith('container:')
  return [
    ...['docker', 'run', '--detach', '--name', name],
    ...configFlags(config, id, hasOwnName),
    ...hostFlags(hostConfig),
    ...networkFlags(record),
    ...(program === '' ? [] : ['--entrypoint', program]),
    ...[config.Image, ...first, ...config.Cmd],
  ]
}

/** As a shell reads it. */
export function shellLine(words: readonly string[]): string {
  return words.map(word => (/^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`)).join(' ')
}
