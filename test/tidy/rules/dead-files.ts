// Dead files: whatever nothing reaches from an entry point is not part of the program.
import { importsOf } from './imports.ts'
import type { SourceFile, Violation } from './source.ts'

/** What is started or imported from outside; a worker is started by its address. */
const ENTRY_POINTS =
  /^(?:src\/index\.ts|src\/client\/index\.ts|src\/cli\/quorate\.cts|test\/.*(?:\.test\.ts|-worker\.(?:ts|mjs))|scripts\/(?:[^/]+|[^/]+\/index\.ts))$/
const PRODUCT_ENTRY_POINTS = /^src\//

/**
 * Files in src that only tests and the simulation use: the ports' twins in memory. They live beside the real ones and keep to
 * the same rules.
 */
const TWINS = /\/(?:memory|simulated)-[^/]*\.ts$/

export function checkDeadFiles(files: readonly SourceFile[]): Violation[] {
  const imports = new Map(files.map((file) => [file.path, importsOf(file).map(({ target }) => target)]))
  const roots = files.map(({ path }) => path).filter((path) => ENTRY_POINTS.test(path))
  const fromAnywhere = reach(imports, roots)
  const fromProduct = reach(
    imports,
    roots.filter((path) => PRODUCT_ENTRY_POINTS.test(path)),
  )
  return files.flatMap(({ path }) => {
    const isTwin = TWINS.test(path)
    if (path.startsWith('src/') && !isTwin ? fromProduct.has(path) : fromAnywhere.has(path)) return []
    const detail = path.startsWith('src/') && fromAnywhere.has(path) ? 'only tests use it' : 'nothing uses it'
    return [{ path, line: 1, rule: 'dead file', detail }]
  })
}

function reach(imports: ReadonlyMap<string, readonly (string | undefined)[]>, roots: readonly string[]): Set<string> {
  const reached = new Set(roots)
  // A Set visits what is added while it is walked.
  for (const path of reached) {
    for (const target of imports.get(path) ?? []) {
      if (target !== undefined && imports.has(target)) reached.add(target)
    }
  }
  return reached
}
