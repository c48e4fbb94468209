import type { Logger } from '#api/log/log.ts'

/**
 * Steps that undo what a call has begun, armed from the start and run last first unless {@link UndoSteps.keep} is called.
 * A step that fails is logged and does not hide why the call failed; what it leaves is found at the next start.
 */
export class UndoSteps implements AsyncDisposable {
  readonly #stack = new AsyncDisposableStack()
  readonly #logger: Logger

  constructor(logger: Logger) {
    this.#logger = logger
  }

  defer(step: () => Promise<unknown> | unknown): void {
    this.#stack.defer(async () => {
      try {
        await step()
      } catch (error) {
        this.#logger.error({ err: error }, 'undoing a failed call')
      }
    })
  }

  /** The call succeeded: nothing is undone. */
  keep(): void {
    this.#stack.move()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stack.disposeAsync()
  }
}
