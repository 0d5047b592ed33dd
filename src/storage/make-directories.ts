// Makes a directory with its parents. By hand: where the system answers ENOENT although the parent is there, as in /proc,
// Node's own recursive mkdir never returns.
import { mkdirSync, statSync } from 'node:fs'
import { dirname, resolve } from 'node:path'

/** What is there already stays as it is. Throws what the system says. Synchronous: for the start of a process. */
export function makeDirectories(path: string, mode: number): void {
  const missing: string[] = []
  let at = resolve(path)
  while (statSync(at, { throwIfNoEntry: false }) === undefined && dirname(at) !== at) {
    missing.push(at)
    at = dirname(at)
  }
  for (const directory of missing.reverse()) makeOne(directory, mode)
  // A file where the last directory should be.
  if (!statSync(path).isDirectory()) mkdirSync(path, { mode })
}

/** Another process may make it at the same moment. */
function makeOne(directory: string, mode: number): void {
  try {
    mkdirSync(directory, { mode })
  } catch (error) {
    const isThere = statSync(directory, { throwIfNoEntry: false })?.isDirectory() ?? false
    if (!isThere) throw error
  }
}
