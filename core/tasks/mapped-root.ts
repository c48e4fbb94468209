/** Bundles of containers with a user namespace. */
import { chmod, chown } from 'node:fs/promises'

interface Mapping {
  readonly containerID?: number
  readonly hostID?: number
}

/**
 * Lets the container's own root through to `<bundle>/rootfs`: runc enters the user namespace before it mounts there.
 * The bundle's group becomes that root's on the host, with the right to pass (0710), as containerd does it.
 */
export async function admitMappedRoot(bundlePath: string, configJson: Uint8Array): Promise<void> {
  const gid = mappedRootGid(configJson)
  if (gid === 0) return
  await chown(bundlePath, -1, gid)
  await chmod(bundlePath, 0o710)
}

/** Who group 0 of the container is on the host; 0 when it is nobody else. Nearly every spec is known without parsing. */
function mappedRootGid(configJson: Uint8Array): number {
  const text = Buffer.from(configJson.buffer, configJson.byteOffset, configJson.byteLength)
  if (!text.includes('"gidMappings"')) return 0
  const { linux } = JSON.parse(text.toString()) as { linux?: { gidMappings?: readonly Mapping[] } }
  return linux?.gidMappings?.find(({ containerID = 0 }) => containerID === 0)?.hostID ?? 0
}
