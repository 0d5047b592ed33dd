// Hunts one bug: runs a suite on sources in which it is planted, and sees whether a test fails.
import { spawn } from 'node:child_process'
import { env, execPath } from 'node:process'
import { fileURLToPath } from 'node:url'
import type { Bug } from './bug.ts'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
const VITEST = fileURLToPath(new URL('../../node_modules/vitest/vitest.mjs', import.meta.url))

/** A suite that takes longer with a bug than this hangs on it, which nobody would miss either, but it is no proof. */
const PATIENCE_MS = 120_000

export interface Catch {
  readonly suite: string
  /** `broken`: the suite could not run at all. */
  readonly result: 'caught' | 'survived' | 'hung' | 'broken'
  readonly seconds: number
  /** The seed that found it, or the first claim that failed. */
  readonly evidence: string
}

interface Report {
  readonly numFailedTests: number
  readonly numPassedTests: number
  readonly testResults: readonly {
    readonly message: string
    readonly assertionResults: readonly {
      readonly status: string
      readonly title: string
      readonly failureMessages: readonly string[]
    }[]
  }[]
}

export async function hunt(bug: Bug, suite: string): Promise<Catch> {
  const startMs = performance.now()
  const project = suite.includes('/exploration/') ? 'exploration' : 'unit'
  // One file in a thread of one process: it starts faster, and ends with it.
  const args = [VITEST, 'run', '--project', project, suite, '--pool=threads', '--no-isolate']
  args.push('--reporter=json', '--bail=1', '--no-color')
  if (suite === bug.suites[0] && bug.narrowedTo !== undefined) args.push('-t', bug.narrowedTo)
  const environment = { ...env, QUORATE_ZOO: bug.id, VITEST: '' }
  const { output, isLate } = await run(args, environment)
  const seconds = (performance.now() - startMs) / 1_000
  const found = isLate ? undefined : parse(output)
  if (isLate) return { suite, result: 'hung', seconds, evidence: `no end after ${PATIENCE_MS / 1_000} s` }
  if (found === undefined) return { suite, result: 'broken', seconds, evidence: output.slice(-2_000) }
  if (found.numFailedTests > 0) return { suite, result: 'caught', seconds, evidence: evidenceOf(found) }
  const result = found.numPassedTests > 0 ? 'survived' : 'broken'
  return { suite, result, seconds, evidence: found.testResults.map(({ message }) => message).join('\n') }
}

function run(args: readonly string[], environment: NodeJS.ProcessEnv): Promise<{ output: string; isLate: boolean }> {
  return new Promise((resolve, reject) => {
    const child = spawn(execPath, args, { cwd: ROOT, env: environment, stdio: ['ignore', 'pipe', 'pipe'] })
    let output = ''
    let isLate = false
    const timer = setTimeout(() => {
      isLate = true
      child.kill('SIGKILL')
    }, PATIENCE_MS)
    child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()))
    child.stderr.on('data', (chunk: Buffer) => (output += chunk.toString()))
    child.on('error', reject)
    child.on('close', () => {
      clearTimeout(timer)
      resolve({ output, isLate })
    })
  })
}

function parse(output: string): Report | undefined {
  const line = output.split('\n').find((candidate) => candidate.startsWith('{"numTotalTestSuites"'))
  return line === undefined ? undefined : (JSON.parse(line) as Report)
}

function evidenceOf(report: Report): string {
  const failed = report.testResults
    .flatMap(({ assertionResults }) => assertionResults)
    .find(({ status }) => status === 'failed')
  const message = failed?.failureMessages[0] ?? ''
  const seed = /\b\w*SEED=\S+/.exec(message)?.[0]
  return seed === undefined ? (failed?.title ?? '') : `${seed}: ${failed?.title}`
}
