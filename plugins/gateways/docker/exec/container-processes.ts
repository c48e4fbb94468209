/**
 * The first processes of containers, as their OCI specs have them: what an exec is made from. The spec is some 30 KB of JSON,
 * nearly all of it a seccomp profile, and changes with nothing but an update of the container.
 */
import type { Core } from '../core-client/core.ts'
import type { CoreEvents } from '../core-client/core-events.ts'
import { type OciProcess, specProcess } from './exec-process.ts'

const maxKept = 256

export class ContainerProcesses {
  readonly #records: Core['records']
  readonly #kept = new Map<string, Promise<OciProcess>>()

  constructor({ records }: Pick<Core, 'records'>, events: Pick<CoreEvents, 'listen'>) {
    this.#records = records
    events.listen(
      ({ kind, containerId }) => {
        if (kind === 'container-update' || kind === 'container-delete') this.#kept.delete(containerId)
      },
      () => this.#kept.clear(),
    )
  }

  /** NOT_FOUND: there is no such container. */
  of(id: string): Promise<OciProcess> {
    return this.#kept.get(id) ?? this.#ask(id)
  }

  #ask(id: string): Promise<OciProcess> {
    const asked = this.#records.get({ id }).then(({ container }) => specProcess(container?.spec))
    this.#kept.set(id, asked)
    asked.catch(() => this.#kept.get(id) === asked && this.#kept.delete(id))
    if (this.#kept.size > maxKept) this.#kept.delete(this.#kept.keys().next().value ?? '')
    return asked
  }
}
