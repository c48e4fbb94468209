/** What the rows of images share. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { BigImages } from '../../stage/big-image.ts'
import type { CtrSide } from '../../stage/containerd.ts'
import type { DockerSide } from '../../stage/docker-side.ts'
import type { PodmanSide } from '../../stage/podman-side.ts'
import { pushRegistry, registry } from '../../stage/registry.ts'
import type { Stage } from '../../stage/stage.ts'

export interface ImagesContext {
  readonly stage: Stage
  readonly big: BigImages
  readonly dockers: readonly DockerSide[]
  readonly ctrs: readonly CtrSide[]
  readonly podmans: readonly PodmanSide[]
  /** Storage of the registry that is pushed to. */
  readonly pushed: string
  readonly rounds: number
}

export const bigImage = `${registry}/bench/big:1`
export const twinImage = `${registry}/bench/big:2`
export const pushedImage = `${pushRegistry}/bench/pushed:1`
export const limitMs = 180_000

/** Removes the images, and waits until nothing is left of them: blobs that are still there need not be fetched. */
export async function forget(side: DockerSide, { big }: ImagesContext, ...names: string[]): Promise<void> {
  for (const name of names) await side.command('rmi', '--force', name).catch(() => {})
  const blobs = [...big.image.layers, ...big.twin.layers].map(({ digest }) => digest)
  for (const deadline = Date.now() + 30_000; ; await sleep(20)) {
    const left = blobs.filter(digest => !(side.engine.forgotten?.(digest) ?? true))
    if (left.length === 0) break
    if (Date.now() > deadline) throw new Error(`${left.join(', ')} of removed images is still there after 30 s`)
  }
  await side.account.rest()
}

export async function ensure(side: DockerSide, name: string): Promise<void> {
  await side.command('image', 'inspect', name).catch(() => side.command('pull', '--quiet', name))
}
