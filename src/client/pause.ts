// Waiting, until a time has passed or a signal fires.
import type { CallContext } from './call.ts'

export function pause(
  { clock, abortListeners }: Pick<CallContext, 'clock' | 'abortListeners'>,
  ms: number,
  signal: AbortSignal | undefined,
): Promise<void> {
  if (signal?.aborted === true) return Promise.resolve()
  return new Promise((resolve) => {
    const end = (): void => {
      timer.cancel()
      unlisten?.()
      resolve()
    }
    const timer = clock.after(ms, end)
    const unlisten = signal === undefined ? undefined : abortListeners.add(signal, end)
  })
}
