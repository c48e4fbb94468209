/** A Docker engine of ours whose docker.io is a registry on loopback, with a few images in it. */
import { busyboxLayer, type Entry, type MadeImage, makeImage, makeIndex } from '../fixtures/make-image.ts'
import { putImage } from '../registry/put-image.ts'
import { startRegistry, type TestRegistry } from '../registry/registry.ts'
import { Docker } from './docker.ts'

export interface RegistryWorld extends AsyncDisposable {
  docker: Docker
  /** What docker.io stands for. */
  registry: TestRegistry
  busybox: MadeImage
  /** Stores another image in the registry. */
  publish(repository: string, tag: string, image: MadeImage): Promise<void>
}

/** `busybox:latest`, `busybox:1.36` (the same image) and `multi:1` (of two platforms) can be pulled. */
export async function registryWorld(): Promise<RegistryWorld> {
  await using undo = new AsyncDisposableStack()
  const registry = undo.use(await startRegistry())
  const config = `[plugins.gateways.docker]\nregistry_upstreams = { "docker.io" = "http://${registry.host}" }\n`
  const docker = undo.use(await Docker.start({ config }))
  const busybox = busyboxImage([])
  const publish = (repository: string, tag: string, image: MadeImage) => putImage(registry.host, repository, tag, image)
  await publish('library/busybox', 'latest', busybox)
  await publish('library/busybox', '1.36', busybox)
  const foreign = makeImage({
    layers: [[{ path: 'arm' }]],
    platform: { os: 'linux', architecture: 's390x', variant: '' },
  })
  await publish('library/multi', '1', makeIndex([busyboxImage([{ path: 'multi' }]), foreign]))
  const parts = undo.move()
  return { docker, registry, busybox, publish, [Symbol.asyncDispose]: () => parts.disposeAsync() }
}

/** Busybox, and a second layer. */
export function busyboxImage(entries: Entry[]): MadeImage {
  const config = { Cmd: ['sh'], Env: ['PATH=/bin'], Labels: { made: 'here' }, ExposedPorts: { '80/tcp': {} } }
  return makeImage({ flavor: 'docker', layers: [busyboxLayer(), [{ path: 'etc/second' }, ...entries]], config })
}
