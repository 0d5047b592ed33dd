// Samples where a process of Node.js spends its main thread, through its inspector: nothing in the process knows of it, and the samples
// are of the measured moment alone, not of the start before it.
import { setTimeout as pause } from 'node:timers/promises'
import { request, WebSocket } from 'undici'
import { cpuMicros, mainThreadMicros } from '../measure.ts'

export interface CallFrame {
  readonly functionName: string
  readonly url: string
  readonly lineNumber: number
}

/** As the inspector's protocol defines it. Times in microseconds. */
export interface CpuProfile {
  readonly nodes: readonly {
    readonly id: number
    readonly callFrame: CallFrame
    readonly children?: readonly number[]
  }[]
  readonly samples: readonly number[]
  readonly timeDeltas: readonly number[]
}

/** More samples would cost more than a few per cent of what is measured. */
const INTERVAL_MICROS = 1_000

export interface Sampled {
  readonly profile: CpuProfile
  /** CPU time of the main thread meanwhile, and of all others. */
  readonly mainMicros: number
  readonly otherMicros: number
}

/** The process was started with `--inspect=127.0.0.1:<port>`. */
export async function sampleCpu(port: number, ms: number): Promise<Sampled> {
  const session = await Session.open(port)
  try {
    const { result } = (await session.call('Runtime.evaluate', { expression: 'process.pid' })) as {
      readonly result: { readonly value: number }
    }
    const pid = result.value
    await session.call('Profiler.enable')
    await session.call('Profiler.setSamplingInterval', { interval: INTERVAL_MICROS })
    await session.call('Profiler.start')
    const [main, all] = [mainThreadMicros(pid), cpuMicros(pid)]
    await pause(ms)
    const mainMicros = mainThreadMicros(pid) - main
    const otherMicros = Math.max(0, cpuMicros(pid) - all - mainMicros)
    const { profile } = (await session.call('Profiler.stop')) as { readonly profile: CpuProfile }
    return { profile, mainMicros, otherMicros }
  } finally {
    session.close()
  }
}

interface Reply {
  readonly id?: number
  readonly result?: unknown
  readonly error?: { readonly message: string }
}

interface Waiting {
  resolve(result: unknown): void
  reject(error: Error): void
}

class Session {
  readonly #socket: WebSocket
  readonly #waiting = new Map<number, Waiting>()
  #calls = 0

  private constructor(socket: WebSocket) {
    this.#socket = socket
    socket.addEventListener('message', ({ data }) => this.#settle(JSON.parse(String(data)) as Reply))
    socket.addEventListener('close', () => this.#fail('the inspector closed the connection'))
  }

  static async open(port: number): Promise<Session> {
    const answer = await request(`http://127.0.0.1:${port}/json/list`)
    const [target] = (await answer.body.json()) as readonly { readonly webSocketDebuggerUrl: string }[]
    if (target === undefined) throw new Error(`nothing to inspect at port ${port}`)
    const socket = new WebSocket(target.webSocketDebuggerUrl)
    await new Promise<void>((resolve, reject) => {
      socket.addEventListener('open', () => resolve(), { once: true })
      socket.addEventListener('error', () => reject(new Error(`the inspector at port ${port} does not answer`)), {
        once: true,
      })
    })
    return new Session(socket)
  }

  call(method: string, params: object = {}): Promise<unknown> {
    const id = ++this.#calls
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject })
      this.#socket.send(JSON.stringify({ id, method, params }))
    })
  }

  close(): void {
    this.#socket.close()
  }

  #settle({ id, result, error }: Reply): void {
    if (id === undefined) return
    const waiting = this.#waiting.get(id)
    this.#waiting.delete(id)
    if (error === undefined) waiting?.resolve(result)
    else waiting?.reject(new Error(error.message))
  }

  #fail(reason: string): void {
    for (const waiting of this.#waiting.values()) waiting.reject(new Error(reason))
    this.#waiting.clear()
  }
}
