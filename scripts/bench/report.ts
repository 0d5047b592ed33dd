// The results as files: everything measured as JSON, tables and the table of aims as Markdown, charts as SVG.
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { lineChart } from './chart.ts'
import type { AimRow, PartResult, Table } from './parts/part.ts'

export interface RunDescription {
  readonly machine: string
  /** Each with its version and what it promises. */
  readonly systems: readonly string[]
  readonly settings: string
  readonly tookMinutes: number
}

export interface NamedResult {
  readonly part: string
  readonly result: PartResult
}

const VERDICTS: Readonly<Record<AimRow['verdict'], string>> = {
  moonshot: 'reached, and the moonshot too',
  reached: 'reached',
  missed: 'missed',
}

const line = (cells: readonly string[]): string =>
  `| ${cells.map((cell) => cell.replaceAll('|', '\\|').replaceAll('\n', ' ')).join(' | ')} |`

export function markdownTable({ head, rows }: Pick<Table, 'head' | 'rows'>): string {
  return [line(head), line(head.map(() => '---')), ...rows.map((row) => line(row))].join('\n')
}

export function markdown(run: RunDescription, results: readonly NamedResult[]): string {
  const sections = [`# Benchmark\n\n${run.machine}\n${run.settings}, ${run.tookMinutes.toFixed(1)} minutes in all.`]
  sections.push(run.systems.map((system) => `- ${system}`).join('\n'))
  const aims = results.flatMap(({ result }) => result.aims)
  if (aims.length > 0) sections.push(`## What was to be reached\n\n${aimsTable(aims)}`)
  for (const { result } of results) sections.push(section(result))
  return `${sections.join('\n\n')}\n`
}

export function aimsTable(aims: readonly AimRow[]): string {
  return markdownTable({
    head: ['workload', 'aim', 'moonshot', 'measured: median (minimum to maximum)', 'verdict'],
    rows: aims.map(({ workload, aim, moonshot, measured, verdict }) => [
      workload,
      aim,
      moonshot,
      measured,
      VERDICTS[verdict],
    ]),
  })
}

function section(result: PartResult): string {
  const parts = [`## ${result.title}`]
  for (const table of result.tables) parts.push(`### ${table.title}\n\n${markdownTable(table)}`)
  for (const { name, chart } of result.charts) parts.push(`![${chart.title}](${name}.svg)`)
  if (result.notes.length > 0) parts.push(result.notes.map((note) => `- ${note}`).join('\n'))
  return parts.join('\n\n')
}

/** Written anew after each part, so that an interrupted run keeps what it has. */
export function writeReport(folder: string, run: RunDescription, results: readonly NamedResult[]): void {
  writeFileSync(join(folder, 'results.json'), `${JSON.stringify({ run, results }, undefined, 1)}\n`)
  writeFileSync(join(folder, 'results.md'), markdown(run, results))
  for (const { result } of results) {
    for (const { name, chart } of result.charts) writeFileSync(join(folder, `${name}.svg`), lineChart(chart))
  }
}
