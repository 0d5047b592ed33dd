// What the transport counts. The names are those of the metrics, so each is there from the start, with zero.

const NAMES = [
  'sent_messages',
  'sent_bytes',
  'received_messages',
  'received_bytes',
  /** Raft messages not sent, by reason. */
  'dropped_not_connected',
  'dropped_queue_full',
  'dropped_too_large',
  'dropped_not_for_the_wire',
  'dropped_unknown_peer',
  /** Raft messages received and not delivered, by reason. */
  'dropped_wrong_sender',
  'dropped_wrong_addressee',
  'connections_opened',
  'connections_accepted',
  'connections_failed',
  'connections_overloaded',
  'handshakes_refused_by_us',
  'handshakes_refused_by_peer',
  /** Connections closed because of what arrived on them. */
  'corrupt_streams',
  'silent_connections',
  /** Connections lost to a process that is evidently gone. */
  'peers_gone',
  'forwards_sent',
  'forwards_unsent',
  'forwards_lost',
  'forwards_overloaded',
  'forwards_received',
  'late_answers',
  'controls_sent',
  'controls_received',
  'snapshots_sent',
  'snapshots_failed',
  'snapshots_received',
] as const

export type CounterName = (typeof NAMES)[number]

export class Counters {
  readonly #values = new Map<CounterName, number>(NAMES.map((name) => [name, 0]))

  add(name: CounterName, amount = 1): void {
    this.#values.set(name, (this.#values.get(name) ?? 0) + amount)
  }

  snapshot(): Readonly<Record<string, number>> {
    return Object.fromEntries(this.#values)
  }
}
