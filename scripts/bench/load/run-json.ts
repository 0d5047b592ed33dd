// Runs a program for what it prints, and sees to its end when the bench is interrupted.
import { spawn } from 'node:child_process'
import { killAtExit } from '../cleanup.ts'

const COMPLAINT_KEPT = 2_000

/** `signal` ends the program. */
export async function runJson<T>(command: string, args: readonly string[], signal?: AbortSignal): Promise<T> {
  return JSON.parse(await runText(command, args, undefined, signal)) as T
}

/** Calls `onOutput` when the first output arrives. */
export async function runText(
  command: string,
  args: readonly string[],
  onOutput?: () => void,
  signal?: AbortSignal,
): Promise<string> {
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'], signal })
  const forget = killAtExit(child)
  let output = ''
  let complaint = ''
  if (onOutput !== undefined) child.stdout.once('data', onOutput)
  child.stdout.on('data', (chunk: Buffer) => {
    output += chunk.toString()
  })
  child.stderr.on('data', (chunk: Buffer) => {
    complaint = (complaint + chunk.toString()).slice(-COMPLAINT_KEPT)
  })
  const code = await new Promise<number | NodeJS.Signals | null>((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (exitCode, signal) => resolve(exitCode ?? signal))
  }).finally(forget)
  if (code !== 0) throw new Error(`${command} ended with ${code}: ${complaint || output.slice(-COMPLAINT_KEPT)}`)
  return output
}
