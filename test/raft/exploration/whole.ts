// Copies and compares object graphs as wholes: every field of every object, aliases included. It works on the core because the
// exploration opens its private fields (test/support/open-privates.ts).

const isShared = (value: object, shared: ReadonlySet<object>): boolean =>
  shared.has(value) || value instanceof Uint8Array || Object.isFrozen(value)

/** An independent copy. `shared` objects, frozen ones and bytes are immutable, and stay as they are. */
export function copyWhole<T extends object>(root: T, shared: ReadonlySet<object>): T {
  const copies = new Map<object, object>()
  const copy = (value: unknown): unknown => {
    if (typeof value !== 'object' || value === null || isShared(value, shared)) return value
    const known = copies.get(value)
    if (known !== undefined) return known
    if (value instanceof Map) {
      const made = new Map<unknown, unknown>()
      copies.set(value, made)
      for (const [key, item] of value) made.set(key, copy(item))
      return made
    }
    if (value instanceof Set) {
      const made = new Set<unknown>(value)
      copies.set(value, made)
      return made
    }
    const made = Array.isArray(value) ? [] : (Object.create(Object.getPrototypeOf(value) as object) as object)
    copies.set(value, made)
    for (const name of Object.keys(value)) {
      ;(made as Record<string, unknown>)[name] = copy((value as Record<string, unknown>)[name])
    }
    return made
  }
  return copy(root) as T
}

/** A text that two graphs share exactly when no program could tell them apart. */
export function describeWhole(root: unknown, shared: ReadonlySet<object>): string {
  const seen = new Map<object, number>()
  let text = ''
  const describe = (value: unknown): void => {
    if (typeof value !== 'object' || value === null) {
      text += typeof value === 'string' ? `'${value}'` : String(value)
      return
    }
    if (shared.has(value)) {
      text += '!'
      return
    }
    if (value instanceof Uint8Array) {
      text += `<${Buffer.from(value).toString('latin1')}>`
      return
    }
    const number = seen.get(value)
    if (number !== undefined) {
      text += `@${number}`
      return
    }
    seen.set(value, seen.size)
    text += '{'
    const entries =
      value instanceof Map ? value.entries() : value instanceof Set ? [...value].entries() : Object.entries(value)
    for (const [name, item] of entries) {
      text += `${String(name)}:`
      describe(item)
      text += ','
    }
    text += '}'
  }
  describe(root)
  return text
}
