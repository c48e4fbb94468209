/** Debian's dockerd and ours, side by side: the same requests go to both. */
import assert from 'node:assert/strict'
import { busyboxLayer, type Entry, makeImage } from '../../fixtures/make-image.ts'
import { debian, lacking } from '../../interop/ctr.ts'
import { DebianContainerd } from '../../interop/debian-containerd.ts'
import { Dockerd, dockerFiles } from '../../interop/dockerd.ts'
import { Docker } from '../docker.ts'
import { Engine } from './engine.ts'
import type { Answer, Call } from './engine-call.ts'

/** Why there can be no pair here; false when there can. */
export const pairLacks = lacking(dockerFiles.dockerd, debian.containerd, debian.runc, '/bin/busybox')

/** The newest version of Debian's. */
export const commonVersion = '1.41'

export class Pair implements AsyncDisposable {
  readonly theirs: Engine
  readonly ours: Engine
  readonly docker: Docker
  readonly dockerd: Dockerd
  readonly #stack = new AsyncDisposableStack()

  private constructor({ theirs, ours, docker, dockerd }: Pick<Pair, 'theirs' | 'ours' | 'docker' | 'dockerd'>) {
    this.theirs = theirs
    this.ours = ours
    this.docker = docker
    this.dockerd = dockerd
  }

  /** Both have two images: `box:1`, bare, and `full:1`, whose configuration says what an image can say. */
  static async start(): Promise<Pair> {
    await using stack = new AsyncDisposableStack()
    const containerd = stack.use(await DebianContainerd.start())
    const dockerd = stack.use(await Dockerd.start(containerd.address, { networks: true }))
    const docker = stack.use(
      await Docker.start({ config: `[plugins.gateways.docker]\napi_version = "${commonVersion}"\n` }),
    )
    const [theirs, ours] = [new Engine('dockerd', dockerd.socket), new Engine('gantry', docker.socket)]
    stack.use(theirs)
    stack.use(ours)
    const pair = new Pair({ theirs, ours, docker, dockerd })
    await importImages(pair)
    pair.#stack.use(stack.move())
    return pair
  }

  get engines(): readonly [Engine, Engine] {
    return [this.theirs, this.ours]
  }

  /** Dockerd's answer, and ours. */
  async both(wish: Call): Promise<[Answer, Answer]> {
    return Promise.all([this.theirs.call(wish), this.ours.call(wish)])
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stack[Symbol.asyncDispose]()
  }
}

async function importImages(pair: Pair): Promise<void> {
  const layerOf = (entries: Entry[]) => makeImage({ layers: [entries], compression: 'none' }).layers[0]?.bytes
  await importImage(pair, 'box', layerOf(busyboxLayer()), ['CMD ["sh"]', 'ENV PATH=/bin'])
  const full = [...busyboxLayer(), { path: 'data/file', content: 'of the image' }]
  await importImage(pair, 'full', layerOf(full), fullChanges)
}

const fullChanges = [
  ...['CMD ["sleep", "1000"]', 'ENV PATH=/bin', 'ENV COLOR=blue', 'EXPOSE 80/tcp 53/udp', 'VOLUME /data'],
  ...['LABEL maker=test', 'WORKDIR /tmp', 'USER root'],
]

async function importImage(pair: Pair, name: string, body: Buffer | undefined, changes: string[]): Promise<void> {
  assert.ok(body)
  const query = new URLSearchParams({ fromSrc: '-', repo: name, tag: '1' })
  for (const change of changes) query.append('changes', change)
  const headers = { 'Content-Type': 'application/x-tar' }
  const path = `/v${commonVersion}/images/create?${query}`
  for (const answer of await pair.both({ method: 'POST', path, body, headers }))
    assert.equal(answer.status, 200, answer.body.toString())
}
