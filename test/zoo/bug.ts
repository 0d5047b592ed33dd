// What a seeded bug is: a known mistake as small search-and-replace patches of the sources, and who must notice it.

export interface Patch {
  /** From the project's root. */
  readonly file: string
  /** Occurs exactly once in the file, or the bug has to be planted anew. */
  readonly find: string
  readonly replace: string
}

export interface Bug {
  /** The trap that it falls into, with a letter where there are several ways. */
  readonly id: string
  readonly what: string
  readonly isStarred?: boolean
  readonly patches: readonly Patch[]
  /** Each of them must fail. The first is the fastest, and the one that CI runs. */
  readonly suites: readonly string[]
  /** Only tests with this in their names run in the first suite: the others take long, and have nothing to do with the bug. */
  readonly narrowedTo?: string
  /** Why no seed of the simulation can show it: what it breaks is not part of that world. */
  readonly beyondSimulation?: string
}

/** A trap that nothing can fall into yet. */
export interface Waiting {
  readonly id: string
  readonly what: string
  readonly waitsFor: string
}
