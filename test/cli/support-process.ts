// Runs the command line as a real process and collects what it prints. The compiled one where it is up to date, as `npm test`
// makes it; else the sources through a loader, which costs seconds.
import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { existsSync, readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { vi } from 'vitest'
import { DevError, checkPorts, planNodes } from '../../src/cli/dev-plan.ts'

const ROOT = fileURLToPath(new URL('../../', import.meta.url))

function command(): readonly string[] {
  const stamp = join(ROOT, 'dist', '.built')
  const sources = readdirSync(join(ROOT, 'src'), { recursive: true, withFileTypes: true })
  const newest = Math.max(...sources.map((entry) => statSync(join(entry.parentPath, entry.name)).mtimeMs))
  const isBuilt = existsSync(stamp) && statSync(stamp).mtimeMs > newest
  return isBuilt ? [join(ROOT, 'dist/cli/quorate.cjs')] : ['--import', 'tsx', join(ROOT, 'src/cli/quorate.cts')]
}

const COMMAND = command()
const START_MS = 25_000

export interface Running {
  readonly child: ChildProcess
  readonly exitCode: Promise<number | null>
  readonly output: () => string
  /** Waits until both streams together match. */
  readonly until: (pattern: RegExp) => Promise<RegExpExecArray>
}

export function quorate(args: readonly string[], env: Readonly<Record<string, string>> = {}): Running {
  const child = spawn(process.execPath, [...COMMAND, ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { PATH: process.env['PATH'], HOME: process.env['HOME'], ...env },
  })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8')
    stream.on('data', (text: string) => (output += text))
  }
  const exitCode = new Promise<number | null>((resolve) => {
    child.once('close', resolve)
  })
  const until = (pattern: RegExp): Promise<RegExpExecArray> =>
    vi.waitFor(
      () => {
        const match = pattern.exec(output)
        if (match === null) throw new Error(`nothing matches ${String(pattern)} in:\n${output}`)
        return match
      },
      { timeout: START_MS, interval: 20 },
    )
  return { child, exitCode, output: () => output, until }
}

/** A base port for `dev` whose ports are free just now. */
export async function freeBasePort(nodes: number): Promise<number> {
  for (let attempt = 0; ; attempt++) {
    const basePort = 20_000 + Math.floor(Math.random() * 10_000)
    try {
      await checkPorts(planNodes({ nodes, basePort, dataDir: '.', logLevel: 'info' }))
      return basePort
    } catch (error) {
      if (!(error instanceof DevError) || attempt === 50) throw error
    }
  }
}

export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}
