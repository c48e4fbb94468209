/** What followers are told of a container and its log. */
import { join } from 'node:path'
import { Source, type State } from '#api/gen/gantry/services/logs/v1/logs.ts'
import type { LogSubject } from '#api/log-drivers/subject.ts'
import type { Container } from '#core/containers/containers.ts'
import { launchConfigOf, type Places } from '#core/launch/launch.ts'
import { decodeSpecJson } from '#core/spec/spec.ts'

/** The plugin that all drivers are in: it follows every log whose driver forwards. */
export const driverFollower = 'standard'

/** Where `follower` keeps its place in the log of `directory`. */
export function noteIn(directory: string, follower: string): string {
  return join(directory, 'log-readers', `${follower}.json`)
}

/** Undefined: the container keeps no log, or its record is a stranger's that cannot be read. The note is to be filled in. */
export function sourceOf(ns: string, container: Container, places: Places, state: State): Source | undefined {
  const described = describe(container)
  if (!described || described.config.log?.driver === 'none') return undefined
  const { config, args, subject } = described
  const { id, name, imageName, imageId, labels, env } = subject
  return Source.fromPartial({
    namespace: ns,
    container: id,
    state,
    file: places.logFile,
    driver: config.log?.driver || 'json-file',
    options: { ...config.log?.options },
    subject: {
      name,
      imageName,
      imageId,
      command: args.join(' '),
      createdAt: container.createdAt,
      labels,
      env: [...env],
    },
  })
}

/** Whoever may write records may write nonsense: a follower of all logs must not end by one of them. */
function describe(container: Container) {
  try {
    const config = launchConfigOf(container)
    return config && { config, ...specSubject(container) }
  } catch {
    return undefined
  }
}

/** What tags and attributes are made of. */
export function subjectOf(container: Container): LogSubject {
  return specSubject(container).subject
}

function specSubject(container: Container): { args: string[]; subject: LogSubject } {
  const config = launchConfigOf(container)
  const { process } = decodeSpecJson(container.spec.value) as { process?: { args?: string[]; env?: string[] } }
  const subject = {
    id: container.id,
    name: config?.name || container.id,
    imageName: config?.log?.imageName || container.image,
    imageId: config?.log?.imageId ?? '',
    labels: Object.fromEntries(Object.entries(container.labels).filter(([key]) => !isInternal(key))),
    env: process?.env ?? [],
  }
  return { args: process?.args ?? [], subject }
}

/** Labels that are containerd's, not the user's. */
const isInternal = (key: string) => key.startsWith('containerd.io/') || key.startsWith('io.containerd.')
