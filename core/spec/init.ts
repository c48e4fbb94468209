/** `init`: a small first process that passes signals on and reaps, before the container's own (Docker's `--init`). */
import { existsSync, realpathSync } from 'node:fs'
import { delimiter, isAbsolute, join } from 'node:path'
import { failedPrecondition } from '#api/errors/errors.ts'
import type { NamespaceMode } from './namespaces.ts'
import type { SpecMount } from './runtime-spec.ts'

/** Where it is in the container, as with Docker. */
const initTarget = '/sbin/docker-init'

/** Programs that run in any root because they are linked statically. */
const programs = ['docker-init', 'tini-static']

/** Path of the host's init program; undefined when it has none. */
export function findInit(path: string): string | undefined {
  const folders = [...path.split(delimiter).filter(isAbsolute), '/usr/bin', '/usr/libexec/docker']
  const found = programs.flatMap(name => folders.map(folder => join(folder, name))).find(file => existsSync(file))
  return found && realpathSync(found)
}

export interface InitWish {
  init: boolean
  pid: NamespaceMode
}

/** False where it would not be the first process of its pid namespace: others reap there (Docker's rule). */
export function usesInit({ init, pid }: InitWish): boolean {
  return init && pid.kind === 'private'
}

export function initMount(initPath: string | undefined): SpecMount {
  if (initPath === undefined)
    throw failedPrecondition(`init: this host has no ${programs.join(' and no ')}; install the package tini`)
  return { destination: initTarget, type: 'bind', source: initPath, options: ['bind', 'ro'] }
}

export function initArgs(args: readonly string[]): string[] {
  return [initTarget, '--', ...args]
}
