// curl, as people use it: runs the real program and takes its output apart.
import { execFile, execFileSync } from 'node:child_process'

export interface CurlAnswer {
  readonly status: number
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string>>
  readonly body: Buffer
  readonly text: string
}

/** Whether this machine has it. */
export function hasCurl(): boolean {
  try {
    execFileSync('curl', ['--version'], { stdio: 'ignore' })
    return true
  } catch {
    return false
  }
}

/** Runs `curl` with these arguments; a body is given on its standard input, sent with `--data-binary @-`. */
export function curl(args: readonly string[], body?: Uint8Array | string): Promise<CurlAnswer> {
  const input = body === undefined ? [] : ['--data-binary', '@-']
  const all = ['--silent', '--show-error', '--include', '--path-as-is', '--max-time', '30', ...input, ...args]
  return new Promise((resolve, reject) => {
    const child = execFile('curl', all, { encoding: 'buffer', maxBuffer: 8 * 1024 * 1024 }, (error, stdout) => {
      if (error === null) resolve(takeApart(stdout))
      else reject(error)
    })
    // A server that refuses a body answers before it has read all of it; curl then closes its input early.
    child.stdin?.on('error', () => {})
    child.stdin?.end(body ?? '')
  })
}

/** The last answer: curl shows interim ones (100 Continue) too. */
function takeApart(output: Buffer): CurlAnswer {
  let rest = output
  for (;;) {
    const end = rest.indexOf('\r\n\r\n')
    const lines = rest.toString('latin1', 0, end).split('\r\n')
    const status = Number(lines[0]?.split(' ')[1])
    rest = rest.subarray(end + 4)
    if (status >= 100 && status < 200) continue
    const pairs = lines.slice(1).map((line) => {
      const colon = line.indexOf(':')
      return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()] as const
    })
    return { status, headers: Object.fromEntries(pairs), body: rest, text: rest.toString() }
  }
}
