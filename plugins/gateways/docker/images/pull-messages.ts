/** The core's progress events as the messages of `docker pull` and `docker push`. */
import type { Progress } from '#api/gen/containerd/types/transfer/progress.ts'
import { isConfigType, isIndexType, isManifestType } from '#api/types/oci.ts'
import { shortId } from './names.ts'
import { layerMessage, movingMessage, type ProgressMessage } from './progress-messages.ts'

type Stage = 'downloading' | 'downloaded' | 'extracting' | 'done'
const order: readonly Stage[] = ['downloading', 'downloaded', 'extracting', 'done']

/**
 * A pull's layers, told once per step: announced, downloaded, extracted. Nothing is said of an image that was here
 * already, since then there is no layer to wait for.
 */
export class PullMessages {
  readonly #stages = new Map<string, Stage>()
  /** Layers that are here, not told of while nothing else had to be fetched. */
  readonly #untold = new Set<string>()
  #hasFetched = false

  /** True when anything had to be downloaded or unpacked. */
  get hasFetched(): boolean {
    return this.#hasFetched
  }

  read({ event, desc, progress, total }: Progress): ProgressMessage[] {
    if (desc === undefined || !isLayer(desc.mediaType)) return []
    const id = shortId(desc.digest)
    switch (event) {
      case 'already exists':
        return this.#exists(id)
      case 'downloading':
        return this.#advance(id, 'downloading', movingMessage(id, 'Downloading', Number(progress), Number(total)))
      case 'complete':
        return this.#advance(id, 'downloaded', layerMessage(id, 'Download complete'))
      case 'extracting':
        return this.#advance(id, 'extracting', movingMessage(id, 'Extracting', Number(progress), Number(total)))
      case 'extracted':
        return this.#advance(id, 'done', layerMessage(id, 'Pull complete'))
      default:
        return []
    }
  }

  #exists(id: string): ProgressMessage[] {
    if (this.#hasFetched && !this.#stages.has(id)) return [layerMessage(id, 'Already exists')]
    this.#untold.add(id)
    return []
  }

  /** Steps are told in their order, each once; those with numbers as often as the numbers change. */
  #advance(id: string, stage: Stage, message: ProgressMessage): ProgressMessage[] {
    const before = this.#stages.get(id)
    const isRepeat = before === stage && message.progress !== undefined
    if (before !== undefined && order.indexOf(stage) <= order.indexOf(before) && !isRepeat) return []
    this.#stages.set(id, stage)
    return [...this.#beginning(id, before === undefined), message]
  }

  /** What has to be told before the first step of a layer. */
  #beginning(id: string, isFirstStep: boolean): ProgressMessage[] {
    this.#hasFetched = true
    if (!isFirstStep) return []
    this.#untold.delete(id)
    const existing = [...this.#untold].map(other => layerMessage(other, 'Already exists'))
    this.#untold.clear()
    return [...existing, layerMessage(id, 'Pulling fs layer')]
  }
}

/** A push's layers; `nameOf` is what a layer is called, such as its short diffID. */
export class PushMessages {
  readonly #nameOf: (digest: string) => string
  readonly #announced = new Set<string>()
  readonly #finished = new Set<string>()

  constructor(nameOf: (digest: string) => string) {
    this.#nameOf = nameOf
  }

  read({ event, desc, progress, total }: Progress): ProgressMessage[] {
    if (desc === undefined || !isLayer(desc.mediaType) || this.#finished.has(desc.digest)) return []
    const id = this.#nameOf(desc.digest)
    const announced = this.#announced.has(id) ? [] : [layerMessage(id, 'Preparing')]
    this.#announced.add(id)
    if (event === 'uploading') return [...announced, movingMessage(id, 'Pushing', Number(progress), Number(total))]
    if (event !== 'complete' && event !== 'already exists') return announced
    this.#finished.add(desc.digest)
    return [...announced, layerMessage(id, event === 'complete' ? 'Pushed' : 'Layer already exists')]
  }
}

function isLayer(mediaType: string): boolean {
  return !isConfigType(mediaType) && !isManifestType(mediaType) && !isIndexType(mediaType)
}
