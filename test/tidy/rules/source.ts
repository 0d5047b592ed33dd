// The project's files as the rules see them, and a small lexer that blanks comments and the insides of strings, so that a rule
// about code never trips over prose. Positions and lines stay what they are.
import { readdirSync, readFileSync } from 'node:fs'
import { join, relative, sep } from 'node:path'

export interface SourceFile {
  /** From the project's root, with slashes. */
  readonly path: string
  readonly text: string
  /** The text with comments, and what is between quotes, replaced by spaces. */
  readonly code: string
}

export interface Violation {
  readonly path: string
  readonly line: number
  readonly rule: string
  readonly detail: string
}

export const describeViolation = ({ path, line, rule, detail }: Violation): string =>
  `${path}:${line}: ${rule}: ${detail}`

export const lineAt = (text: string, offset: number): number => text.slice(0, offset).split('\n').length

export const sourceFile = (path: string, text: string): SourceFile => ({ path, text, code: blankComments(text) })

const SKIPPED = new Set(['node_modules', 'dist', 'data', '.git', 'coverage'])

/** All files below the root whose name ends so. */
export function findFiles(root: string, pattern: RegExp): string[] {
  const found: string[] = []
  const visit = (folder: string): void => {
    for (const entry of readdirSync(folder, { withFileTypes: true })) {
      if (SKIPPED.has(entry.name)) continue
      const path = join(folder, entry.name)
      if (entry.isDirectory()) visit(path)
      else if (pattern.test(entry.name)) found.push(relative(root, path).split(sep).join('/'))
    }
  }
  visit(root)
  return found.sort()
}

export function readSources(root: string): SourceFile[] {
  return findFiles(root, /\.[cm]?[jt]s$/)
    .filter((path) => /^(src|test|scripts)\//.test(path))
    .map((path) => sourceFile(path, readFileSync(join(root, path), 'utf8')))
}

/** A slash after one of these starts a regular expression, not a division. */
const BEFORE_REGEX = /(?:^|[(,=:[!&|?{};+\-*%<>~^]|\b(?:return|typeof|case|in|of|do|else|void|delete|throw|await))\s*$/

/** Blanks comments, the insides of strings and regular expressions, and template text (but not what is in `${}`). */
export function blankComments(text: string): string {
  let code = ''
  let at = 0
  /** For each open template placeholder, how many braces are open within it. */
  const placeholders: number[] = []
  const blank = (end: number): void => {
    code += text.slice(at, end).replaceAll(/[^\n]/g, ' ')
    at = end
  }
  const keep = (): void => {
    code += text[at++] ?? ''
  }
  while (at < text.length) {
    const char = text[at]!
    if (text.startsWith('//', at) || (at === 0 && text.startsWith('#!'))) blank(endOf(text, '\n', at))
    else if (text.startsWith('/*', at)) blank(endOf(text, '*/', at + 2) + 2)
    else if (char === "'" || char === '"') {
      keep()
      blank(endOfQuoted(text, at, char))
      keep()
    } else if (char === '/' && BEFORE_REGEX.test(code)) {
      keep()
      blank(endOfRegex(text, at))
      keep()
    } else if (char === '`' || (char === '}' && placeholders.at(-1) === 0)) {
      if (char === '}') placeholders.pop()
      keep()
      const end = endOfTemplateText(text, at)
      blank(end)
      if (text[end] === '$') placeholders.push(0)
      keep()
      if (text[end] === '$') keep()
    } else {
      if (placeholders.length > 0 && char === '{') placeholders[placeholders.length - 1]! += 1
      if (placeholders.length > 0 && char === '}') placeholders[placeholders.length - 1]! -= 1
      keep()
    }
  }
  return code
}

function endOf(text: string, end: string, from: number): number {
  const at = text.indexOf(end, from)
  return at === -1 ? text.length : at
}

function endOfQuoted(text: string, from: number, quote: string): number {
  let at = from
  while (at < text.length && text[at] !== quote && text[at] !== '\n') at += text[at] === '\\' ? 2 : 1
  return at
}

function endOfRegex(text: string, from: number): number {
  let isInClass = false
  let at = from
  for (; at < text.length && text[at] !== '\n' && (isInClass || text[at] !== '/'); at++) {
    if (text[at] === '\\') at++
    else if (text[at] === '[') isInClass = true
    else if (text[at] === ']') isInClass = false
  }
  return at
}

/** At the closing backtick, or at the dollar of the next placeholder. */
function endOfTemplateText(text: string, from: number): number {
  let at = from
  while (at < text.length && text[at] !== '`' && !text.startsWith('${', at)) at += text[at] === '\\' ? 2 : 1
  return at
}
