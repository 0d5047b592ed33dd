// A copy of the sources with one bug planted in it, for what does not run under vitest: the simulation runs there as it does here.
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import process from 'node:process'
import { fileURLToPath } from 'node:url'
import type { Bug } from './bug.ts'
import { applyPatch } from './plant.ts'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
/** All that the simulation imports. */
const PARTS = ['package.json', 'tsconfig.json', 'src', 'test/sim', 'test/kv', 'test/linearizability', 'test/support']

export interface PlantedTree {
  readonly root: string
  remove(): void
}

/** Without a bug: a plain copy. It goes with the process at the latest. */
export function plantTree(bug: Bug | undefined): PlantedTree {
  const root = mkdtempSync(join(tmpdir(), 'quorate-zoo-'))
  for (const part of PARTS) cpSync(join(ROOT, part), join(root, part), { recursive: true })
  symlinkSync(join(ROOT, 'node_modules'), join(root, 'node_modules'))
  for (const patch of bug?.patches ?? []) {
    const path = join(root, patch.file)
    writeFileSync(path, applyPatch(readFileSync(path, 'utf8'), patch))
  }
  const remove = (): void => {
    process.off('exit', remove)
    rmSync(root, { recursive: true, force: true })
  }
  process.on('exit', remove)
  return { root, remove }
}
