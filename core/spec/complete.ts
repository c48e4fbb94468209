/** The second half of a spec: what is only known when the task is created. */
import { shmOwner } from './ipc.ts'
import { containerNamespacePrefix } from './namespaces.ts'
import type { NamespaceType, Spec, SpecMount, SpecNamespace, SpecProcess } from './runtime-spec.ts'
import type { ResolvedUser } from './users.ts'

export interface StartFacts {
  user: ResolvedUser
  /** The pinned network namespace; absent when the container has none of its own. */
  netnsPath?: string | undefined
  /** Path of a running container's namespace. FAILED_PRECONDITION when it does not run. */
  namespaceOf(containerId: string, type: NamespaceType): Promise<string>
  /** Path of a container's shared memory; '': of this one's own, which is made. FAILED_PRECONDITION when it does not share it. */
  shmOf(containerId: string): Promise<string>
}

/** A new spec; the given one is left as it is. */
export async function completeSpec(spec: Spec, facts: StartFacts): Promise<Spec> {
  const namespaces = await Promise.all(spec.linux.namespaces.map(entry => completeNamespace(entry, facts)))
  const mounts = await Promise.all(spec.mounts.map(entry => completeMount(entry, facts)))
  return {
    ...spec,
    mounts,
    process: completeProcess(spec.process, facts.user),
    linux: { ...spec.linux, namespaces },
  }
}

async function completeNamespace(entry: SpecNamespace, facts: StartFacts): Promise<SpecNamespace> {
  const { type, path } = entry
  if (type === 'network' && path === undefined && facts.netnsPath) return { type, path: facts.netnsPath }
  if (!path?.startsWith(containerNamespacePrefix)) return entry
  return { type, path: await facts.namespaceOf(path.slice(containerNamespacePrefix.length), type) }
}

async function completeMount(entry: SpecMount, facts: StartFacts): Promise<SpecMount> {
  const owner = shmOwner(entry)
  return owner === undefined ? entry : { ...entry, source: await facts.shmOf(owner) }
}

/** The process with numbers for its user. Finds its home directory, as by Docker's runtime, unless told otherwise. */
export function completeProcess(process: SpecProcess, { uid, gid, additionalGids, home }: ResolvedUser): SpecProcess {
  const { username: _, ...rest } = process.user
  const hasHome = process.env.some(entry => entry.startsWith('HOME='))
  return {
    ...process,
    user: { ...rest, uid, gid, ...(additionalGids.length > 0 && { additionalGids }) },
    env: hasHome ? process.env : [...process.env, `HOME=${home}`],
  }
}
