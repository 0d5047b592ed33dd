// The results as files: everything measured as JSON, tables and the table of aims as Markdown, charts as SVG.
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { aimRows } from './aims.ts'
import type { Reached } from './aims.ts'
import { lineChart } from './chart.ts'
import type { NamedChart, PartResult, Table } from './parts/part.ts'

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

const line = (cells: readonly string[]): string =>
  `| ${cells.map((cell) => cell.replaceAll('|', '\\|').replaceAll('\n', ' ')).join(' | ')} |`

export function markdownTable({ head, rows }: Pick<Table, 'head' | 'rows'>): string {
  return [line(head), line(head.map(() => '---')), ...rows.map((row) => line(row))].join('\n')
}

export function markdown(run: RunDescription, results: readonly NamedResult[]): string {
  const sections = [`# Benchmark\n\n${run.machine}\n${run.settings}, ${run.tookMinutes.toFixed(1)} minutes in all.`]
  sections.push(run.systems.map((system) => `- ${system}`).join('\n'))
  const failures = failuresOf(results)
  if (failures.length > 0) {
    sections.push(`**This run is not whole.**\n\n${failures.map((failure) => `- ${failure}`).join('\n')}`)
  }
  for (const { result } of results) sections.push(section(result))
  sections.push(`## What was reached\n\n${aimsTable(results.flatMap(({ result }) => result.aims))}`)
  return `${sections.join('\n\n')}\n`
}

export const aimsTable = (reached: readonly Reached[]): string =>
  markdownTable({
    head: ['workload', 'aim', 'moonshot', 'reached: median (minimum to maximum)', 'verdict'],
    rows: aimRows(reached),
  })

export const failuresOf = (results: readonly NamedResult[]): string[] =>
  results.flatMap(({ part, result }) => (result.failures ?? []).map((failure) => `${part}: ${failure}`))

/** Where all points had errors there is nothing to draw. */
const drawable = ({ charts }: PartResult): readonly NamedChart[] =>
  charts.filter(({ chart }) => chart.series.some(({ points }) => points.length > 0))

function section(result: PartResult): string {
  const parts = [`## ${result.title}`]
  for (const table of result.tables) parts.push(`### ${table.title}\n\n${markdownTable(table)}`)
  for (const { name, chart } of drawable(result)) parts.push(`![${chart.title}](${name}.svg)`)
  if (result.notes.length > 0) parts.push(result.notes.map((note) => `- ${note}`).join('\n'))
  return parts.join('\n\n')
}

/** Written anew after each part, so that an interrupted run keeps what it has. */
export function writeReport(folder: string, run: RunDescription, results: readonly NamedResult[]): void {
  writeFileSync(join(folder, 'results.json'), `${JSON.stringify({ run, results }, undefined, 1)}\n`)
  writeFileSync(join(folder, 'results.md'), markdown(run, results))
  for (const { result } of results) {
    for (const { name, chart } of drawable(result)) writeFileSync(join(folder, `${name}.svg`), lineChart(chart))
  }
}
