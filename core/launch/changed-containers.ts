/**
 * Which containers have changed since somebody looked: so that whoever keeps a view of them is told of those alone.
 *
 * A change is a write below one of the keys that a description is made of, or what is known of a running container in
 * memory alone (`touch`). Numbers of changes belong to one life of the daemon; a *mark* names both.
 */
import { randomBytes } from 'node:crypto'
import type { Key, Metadata } from '#core/metadata/metadata.ts'

export interface ContainersChanged {
  /** To ask with the next time. */
  mark: string
  /** Changed, made or removed; undefined: the mark is unknown, so it may be any. */
  ids: string[] | undefined
}

interface Changes {
  /** Number of the last change by id, in the order of their numbers. */
  readonly byId: Map<string, number>
  /** Changes up to this one are forgotten. */
  forgotten: number
}

/** Those changed longest ago are forgotten past so many. */
const maxRemembered = 16_384

export class ChangedContainers {
  readonly #life = randomBytes(8).toString('hex')
  readonly #namespaces = new Map<string, Changes>()
  #last = 0

  /** Follows what is stored from now on. */
  constructor(metadata: Pick<Metadata, 'follow'>) {
    metadata.follow(keys => {
      for (const key of keys) this.#noteKey(key)
    })
  }

  /** To be called once whoever asks would see the change. */
  touch(ns: string, id: string): void {
    const changes = this.#of(ns)
    changes.byId.delete(id)
    changes.byId.set(id, ++this.#last)
    const [oldest] = changes.byId
    if (changes.byId.size <= maxRemembered || oldest === undefined) return
    changes.byId.delete(oldest[0])
    changes.forgotten = oldest[1]
  }

  since(ns: string, mark: string): ContainersChanged {
    const { byId, forgotten } = this.#of(ns)
    const now = `${this.#life}-${this.#last}`
    const [life, number = ''] = mark.split('-')
    if (life !== this.#life || !/^\d+$/.test(number) || Number(number) < forgotten) return { mark: now, ids: undefined }
    return { mark: now, ids: [...byId].filter(([, at]) => at > Number(number)).map(([id]) => id) }
  }

  #noteKey(key: Key): void {
    const [first, second, third, fourth] = key
    if (first === 'in' && third === 'containers') this.touch(String(second), String(fourth))
    else if (first === 'last-runs' || first === 'restarts') this.touch(String(second), String(third))
    else if (first === 'networks' && second === 'attachment') this.touch(String(third), String(fourth))
  }

  #of(ns: string): Changes {
    const known = this.#namespaces.get(ns)
    if (known) return known
    const changes: Changes = { byId: new Map(), forgotten: 0 }
    this.#namespaces.set(ns, changes)
    return changes
  }
}
