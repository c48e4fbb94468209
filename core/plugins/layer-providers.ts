import type { Plugins } from './plugins.ts'

/** Word among a snapshotter's capabilities: it may answer `prepare` with a layer of its own (`containerd.io/snapshot.ref`). */
const remoteLayers = 'remote-layers'

/** Which snapshotters are to be asked before a layer is downloaded: those that say so, and strangers, who cannot say. */
export function layerProviders(plugins: Pick<Plugins, 'list'>): (snapshotter: string) => boolean {
  return snapshotter =>
    plugins
      .list()
      .some(
        ({ kind, id, external, capabilities }) =>
          kind === 'snapshotter' &&
          id === snapshotter &&
          (capabilities.includes(remoteLayers) || (external && capabilities.length === 0)),
      )
}
