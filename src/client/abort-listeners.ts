// One listener for each signal, however many calls share it: Node warns of a leak from the eleventh listener on.

export class AbortListeners {
  readonly #callbacks = new WeakMap<AbortSignal, Set<() => void>>()

  /** Calls back once when the signal fires. Returns what takes the callback back. */
  add(signal: AbortSignal, callback: () => void): () => void {
    let callbacks = this.#callbacks.get(signal)
    if (callbacks === undefined) {
      callbacks = new Set()
      this.#callbacks.set(signal, callbacks)
      signal.addEventListener('abort', this.#onAbort, { once: true })
    }
    callbacks.add(callback)
    return () => this.#remove(signal, callback)
  }

  #remove(signal: AbortSignal, callback: () => void): void {
    const callbacks = this.#callbacks.get(signal)
    if (callbacks?.delete(callback) !== true || callbacks.size > 0) return
    this.#callbacks.delete(signal)
    signal.removeEventListener('abort', this.#onAbort)
  }

  readonly #onAbort = (event: Event): void => {
    const signal = event.target as AbortSignal
    const callbacks = this.#callbacks.get(signal) ?? []
    this.#callbacks.delete(signal)
    for (const callback of callbacks) callback()
  }
}
