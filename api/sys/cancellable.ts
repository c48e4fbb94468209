import { addon, type CancelToken } from './addon.ts'
import { isSysError } from './sys-error.ts'

/** Runs a native job that stops when the signal fires; it then rejects with the signal's reason. */
export async function cancellable<T>(
  signal: AbortSignal | undefined,
  start: (token: CancelToken) => Promise<T>,
): Promise<T> {
  signal?.throwIfAborted()
  const token = new (addon().CancelToken)()
  const cancel = () => token.cancel()
  signal?.addEventListener('abort', cancel, { once: true })
  try {
    return await start(token)
  } catch (error) {
    if (signal?.aborted && isSysError(error, 'ECANCELED')) throw signal.reason
    throw error
  } finally {
    signal?.removeEventListener('abort', cancel)
  }
}
