/** What each rule for differs works with: blobs in a core's content store, and trees of its own. */
import { mkdirSync, mkdtempSync, readFileSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type HasContent, readBlob } from '#api/content/read-blob.ts'
import { writeStream } from '#api/content/write-blob.ts'
import { ContentDefinition } from '#api/gen/containerd/services/content/v1/content.ts'
import type { DiffDefinition } from '#api/gen/containerd/services/diff/v1/diff.ts'
import type { Descriptor } from '#api/gen/containerd/types/descriptor.ts'
import { type Channel, type Client, createClient } from '#api/rpc/client.ts'
import { mount, unmount } from '#api/sys/sys.ts'
import type { Mount } from '#api/types/mount.ts'
import { digestOf, type Encode, type Entry, tarOf } from './layer-archive.ts'

export type DiffApi = Client<typeof DiffDefinition>

export interface DifferSubject {
  readonly api: DiffApi
  /** The core that it reads blobs of; its calls carry a namespace and a lease. */
  readonly core: Channel
  readonly mediaType: string
  readonly encode: Encode
}

/** A layer, as blob and as what is in it. */
export interface MadeLayer {
  readonly descriptor: Pick<Descriptor, 'mediaType' | 'digest' | 'size'>
  readonly diffID: string
  readonly tarBytes: number
}

export class DifferBench implements AsyncDisposable {
  readonly folder = mkdtempSync(join(tmpdir(), 'gantry-differ-'))
  readonly subject: DifferSubject
  readonly content: HasContent

  constructor(subject: DifferSubject) {
    this.subject = subject
    this.content = { content: createClient(ContentDefinition, subject.core) }
  }

  /** A new empty directory. */
  directory(name: string): string {
    const path = join(this.folder, name)
    mkdirSync(path)
    return path
  }

  async layer(entries: readonly Entry[], damage: (blob: Buffer) => Buffer = blob => blob): Promise<MadeLayer> {
    const tar = await tarOf(entries)
    return await this.#store(damage(this.subject.encode(tar)), tar)
  }

  async #store(blob: Buffer, tar: Buffer): Promise<MadeLayer> {
    const digest = digestOf(blob)
    const { lease = '' } = this.subject.core.defaults
    await writeStream(this.content, [blob], { ref: `check-${digest}`, lease, labels: {}, expected: digest })
    const descriptor = { mediaType: this.subject.mediaType, digest, size: BigInt(blob.length) }
    return { descriptor, diffID: digestOf(tar), tarBytes: tar.length }
  }

  async blob(digest: string): Promise<Buffer | undefined> {
    return await readBlob(this.content, digest)
  }

  /** Unpacks onto a tree; answers what the differ did. */
  async apply(
    { descriptor }: Pick<MadeLayer, 'descriptor'>,
    mounts: readonly Mount[],
  ): Promise<Descriptor | undefined> {
    return (await this.subject.api.apply({ diff: descriptor, mounts: [...mounts] })).applied
  }

  /** A plain directory as mounts. */
  bind(path: string): Mount[] {
    return [{ type: 'bind', source: path, target: '', options: ['rbind', 'rw'] }]
  }

  /** An overlay over `lower`. */
  overlay(lower: string, name: string): Mount[] {
    const [upper, work] = [this.directory(`${name}-upper`), this.directory(`${name}-work`)]
    const options = [`workdir=${work}`, `upperdir=${upper}`, `lowerdir=${lower}`]
    return [{ type: 'overlay', source: 'overlay', target: '', options }]
  }

  async mounted<T>(mounts: readonly Mount[], body: (place: string) => T): Promise<T> {
    const place = mkdtempSync(join(this.folder, 'place-'))
    await mount([...mounts], place)
    try {
      return body(place)
    } finally {
      await unmount(place)
    }
  }

  /** What is mounted of these trees. */
  mountsLeft(): string[] {
    const table = readFileSync('/proc/self/mountinfo', 'utf8').split('\n')
    return table.filter(line => line.includes(this.folder))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await unmount(this.folder, { recursive: true }).catch(() => {})
    await rm(this.folder, { recursive: true, force: true })
  }
}
