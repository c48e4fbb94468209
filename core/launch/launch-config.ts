import { ContainerConfig } from '#api/gen/gantry/services/containers/v1/containers.ts'
import type { Any } from '#api/gen/google/protobuf/any.ts'
import type { Container } from '#core/containers/containers.ts'

/** Name of the extension that makes a container a launched one: the message it holds. */
const launchExtension = 'gantry.services.containers.v1.ContainerConfig'

/** The wishes of a launched container; undefined for any other. */
export function launchConfigOf(container: Pick<Container, 'extensions'>): ContainerConfig | undefined {
  const extension = container.extensions[launchExtension]
  return extension && ContainerConfig.decode(extension.value)
}

/** The wishes as an extension of the record. */
export function launchConfigAny(config: ContainerConfig): Any {
  return { typeUrl: launchExtension, value: Buffer.from(ContainerConfig.encode(config).finish()) }
}
