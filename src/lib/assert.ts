// Assertions: claims about our own state, kept in production. Never use them on input from a network, a disk or a user.
// A failed assertion is a bug in this program; the node stops rather than go on with a state it cannot explain.

/** A broken claim about our own state. Nothing catches it but the composition root, which stops the node. */
export class AssertionError extends Error {
  override readonly name = 'AssertionError'
}

/**
 * Throws an {@link AssertionError} unless `claim` holds. Put the values into the message: it may be all that is left. Where claims
 * are made all the time, it is a function, so that only broken ones cost a message.
 */
export function assert(claim: boolean, message: string | (() => string)): asserts claim {
  if (!claim) throw new AssertionError(typeof message === 'string' ? message : message())
}

/** The value, which this program knows to be there. */
export function present<T>(value: T | undefined, what: string): T {
  if (value === undefined) throw new AssertionError(`${what} is missing`)
  return value
}

/** The end of an exhaustive `switch`: reached only when a case was forgotten. */
export function unreachable(value: never): never {
  throw new AssertionError(`unreachable case: ${JSON.stringify(value)}`)
}
