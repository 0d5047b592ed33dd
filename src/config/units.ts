// Sizes such as 16MiB and durations such as 300ms, read strictly: a typing error must not become a number.
import type { SettingKind } from './settings.ts'

const SIZES: Readonly<Record<string, number>> = {
  '': 1,
  B: 1,
  KiB: 1024,
  MiB: 1024 ** 2,
  GiB: 1024 ** 3,
  TiB: 1024 ** 4,
}

const DURATIONS: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 }

/** At most 15 digits, so that the number is exact. */
const QUANTITY = /^(\d{1,15})([A-Za-z]*)$/

export type Parsed = { readonly value: number } | { readonly problem: string }

/** Bytes: `67108864` or `64MiB`. */
export function parseSize(text: string): Parsed {
  return scaled(text, SIZES, 'must be a number of bytes or a size such as 512KiB, 64MiB or 1GiB')
}

/** Milliseconds of `300ms`, `5s`, `10m`, `1h` or `7d`; the unit is required. */
export function parseDuration(text: string): Parsed {
  return scaled(text, DURATIONS, 'must be a time with its unit, such as 300ms, 5s, 10m, 1h or 7d')
}

/** Milliseconds of `300`, `300ms`, `5s`. */
export function parseMilliseconds(text: string): Parsed {
  return scaled(text, { ...DURATIONS, '': 1 }, 'must be a number of milliseconds or a time such as 300ms or 2s')
}

/** Decimal digits only. */
export function parseNumber(text: string): Parsed {
  return scaled(text, { '': 1 }, 'must be a whole number in decimal digits')
}

function scaled(text: string, units: Readonly<Record<string, number>>, problem: string): Parsed {
  const [, digits, unit] = QUANTITY.exec(text) ?? []
  if (digits === undefined || unit === undefined || !Object.hasOwn(units, unit)) return { problem }
  const value = Number(digits) * units[unit]!
  return Number.isSafeInteger(value) ? { value } : { problem: 'is too large' }
}

/** A size or a time in the largest unit that divides it. */
export function showQuantity(kind: SettingKind, value: number): string {
  if (kind === 'size') return inUnit(value, [1024 ** 3, 'GiB'], [1024 ** 2, 'MiB'], [1024, 'KiB'])
  if (kind === 'duration') return inUnit(value, [3_600_000, 'h'], [60_000, 'm'], [1_000, 's'], [1, 'ms'])
  return String(value)
}

function inUnit(value: number, ...units: readonly (readonly [number, string])[]): string {
  const unit = units.find(([scale]) => value >= scale && value % scale === 0)
  return unit === undefined ? String(value) : `${value / unit[0]}${unit[1]}`
}
