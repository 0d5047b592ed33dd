// Nothing is left behind: every process that the bench starts and every folder that it fills is registered here, and goes when
// the bench ends, by itself, by an error or by Ctrl-C.
import type { ChildProcess } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const children = new Set<ChildProcess>()
const folders = new Set<string>()

/** Kills the process when the bench ends, unless what is returned was called before. */
export function killAtExit(child: ChildProcess): () => void {
  children.add(child)
  return () => void children.delete(child)
}

/** A fresh folder of the system's temporary directory, removed when the bench ends. */
export function temporaryFolder(label: string): string {
  const folder = mkdtempSync(join(tmpdir(), `quorate-bench-${label}-`))
  folders.add(folder)
  return folder
}

export function removeFolder(folder: string): void {
  // A process that was just killed may still be closing files.
  rmSync(folder, { recursive: true, force: true, maxRetries: 5 })
  folders.delete(folder)
}

/** All that the bench started; who waits for them is told by their end. */
export function killChildren(): void {
  for (const child of children) {
    child.kill('SIGCONT')
    child.kill('SIGKILL')
  }
}

/** Called once, first thing. */
export function cleanUpAtExit(): void {
  // Exit handlers are synchronous: signals are, and so is removing a folder.
  process.once('exit', () => {
    killChildren()
    for (const folder of folders) removeFolder(folder)
  })
  process.once('SIGINT', () => process.exit(130))
  process.once('SIGTERM', () => process.exit(143))
}
