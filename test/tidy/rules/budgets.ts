// Budgets: how long a file and a function may be, and that each file says first what it is for.
import type { SourceFile, Violation } from './source.ts'

export const FILE_LINES_MAX = 400
export const FUNCTION_LINES_MAX = 60

export function checkFileLength(files: readonly SourceFile[]): Violation[] {
  return files.flatMap(({ path, text }) => {
    const lines = text.trimEnd().split('\n').length
    if (lines <= FILE_LINES_MAX) return []
    return [{ path, line: lines, rule: 'file length', detail: `${lines} lines, at most ${FILE_LINES_MAX}` }]
  })
}

export function checkFirstComment(files: readonly SourceFile[]): Violation[] {
  return files.flatMap(({ path, text }) => {
    if (/^(?:#!.*\n)?(?:\/\/ ?\S|\/\*)/.test(text)) return []
    return [{ path, line: 1, rule: 'first comment', detail: 'the file does not begin with what it is for' }]
  })
}

const KEYWORDS = /^(?:if|for|while|switch|catch|else|do|try|return|with)\b/
/** A function, method or arrow function whose line, or last line of parameters, opens its body. */
const HEADER = /^(\s*)(?:export )?(?:default )?(?:(?:const|let) ([\w$]+)\b.*=.*|(?:[\w$]+ )*\*?([#\w$]+)(?:<.*>)?)\(.*$/

/**
 * Works on formatted code: a function ends at the first line that closes a brace at the indentation of its header. Tests are
 * left out, because a `describe` is one function.
 */
export function checkFunctionLength(files: readonly SourceFile[]): Violation[] {
  return files.filter(({ path }) => path.startsWith('src/')).flatMap(longFunctions)
}

function longFunctions({ path, code }: SourceFile): Violation[] {
  const lines = code.split('\n')
  return lines.flatMap((header, index) => {
    const match = HEADER.exec(header)
    if (match === null || KEYWORDS.test(header.trimStart())) return []
    const indent = match[1]!
    const body = bodyStart(lines, index, indent)
    if (body === undefined) return []
    const end = lines.findIndex((line, at) => at > body && line.startsWith(`${indent}}`))
    const length = end - index + 1
    if (end === -1 || length <= FUNCTION_LINES_MAX) return []
    const name = match[2] ?? match[3] ?? ''
    const detail = `${name} takes ${length} lines, at most ${FUNCTION_LINES_MAX}`
    return [{ path, line: index + 1, rule: 'function length', detail }]
  })
}

/** Where the body opens: on the header itself, or on the first line at its indentation, which closes the parameters. */
function bodyStart(lines: readonly string[], header: number, indent: string): number | undefined {
  if (/(?:\)(?:: .*)?|=>) \{$/.test(lines[header]!)) return header
  const closing = lines.findIndex(
    (line, at) => at > header && line.startsWith(indent) && /^\S/.test(line.slice(indent.length)),
  )
  return /^\s*[)}].* \{$/.test(lines[closing] ?? '') ? closing : undefined
}
