// What a seed is like: sizes, rates, and which kinds of fault exist at all. Each seed draws its own (swarm testing: a run without
// partitions reaches states that one full of them does not). All of it is printed with a failure.
import { Prng } from '../../src/lib/prng.ts'

export interface Swarm {
  readonly nodes: number
  readonly clients: number
  readonly keys: number
  /** How long faults are made. Milliseconds of simulated time. */
  readonly safetyMs: number
  /** Faults begin before the cluster has formed. */
  readonly isRoughStart: boolean
  readonly network: {
    readonly delayMsMin: number
    readonly delayMsMean: number
    /** Of 1,000 messages. */
    readonly lossPerMille: number
    readonly duplicatePerMille: number
    readonly breakEveryMs: number
    readonly partitionEveryMs: number
    readonly clogEveryMs: number
    readonly allowsOneWay: boolean
    /** Of 1,000 answers to forwarded writes, those that take seconds. */
    readonly lateAnswerPerMille: number
  }
  readonly process: {
    readonly crashEveryMs: number
    readonly restartMsMax: number
    readonly pauseEveryMs: number
    readonly pauseMsMax: number
    /** A process stands still for 1 to 30 seconds. */
    readonly stallEveryMs: number
    /** A leader is cut off with writes under way, until another one leads. */
    readonly deposeEveryMs: number
    readonly massCrashEveryMs: number
    readonly transferEveryMs: number
    readonly wipeEveryMs: number
    /** Clocks run up to this much too fast or too slow. */
    readonly driftPerMille: number
    readonly lateTimerMsMax: number
  }
  readonly disk: {
    readonly writeMsMin: number
    readonly writeMsMean: number
    readonly readMsMax: number
    readonly stallEveryMs: number
    /** Of 10,000 syncs and durable writes. */
    readonly errorPer10000: number
    readonly fullEveryMs: number
    readonly flipEveryMs: number
  }
  readonly node: {
    readonly heartbeatMs: number
    readonly electionTimeoutMs: number
    /** Entries of one append message, and of one write to the log; a larger single one goes alone. */
    readonly appendBytesMax: number
    readonly inflightMessagesMax: number
    readonly retainEntries: number
    readonly retainBytes: number
    /** Every other member keeps so many times as much of its log. */
    readonly retainFactor: number
    readonly segmentBytes: number
    readonly historyRevisions: number
    readonly batchBytes: number
    readonly batchDelayMs: number
    readonly tableBytesMax: number
    readonly cacheBytesMax: number
    /** Of a paused watch's events, and of recent ones that are kept for all: beyond that it lags, or reads the history. */
    readonly watcherLagBytesMax: number
    readonly watchWindowRevisionsMax: number
  }
  readonly load: {
    /** Between two operations of one client, on average. */
    readonly thinkMsMean: number
    readonly timeoutMsMin: number
    readonly timeoutMsMax: number
    readonly valueBytesMax: number
    readonly readPercent: number
    readonly conditionPercent: number
    readonly deletePercent: number
    readonly deathPerMille: number
    /** Clients pause together for a while. */
    readonly idlePercent: number
    /** How many of a hundred clients use the client library; the rest call nodes directly. */
    readonly libraryPercent: number
    /** How many of a hundred operations are no write or read of one key. */
    readonly mixedPercent: number
    readonly watchers: number
    /** Those who list, look at the past, and observe elections. */
    readonly readers: number
    /** Programs over the client library that hold locks and leases, and watch. */
    readonly programs: number
    /** A while without requests, in the end: longer than anything is remembered. */
    readonly isLong: boolean
  }
  readonly evidence: {
    /** Nodes are told that a process is gone which lives. */
    readonly falseEveryMs: number
  }
}

/** Never: later than any run ends. */
export const NEVER = 1e12

export interface SwarmChoice {
  readonly nodes?: number | undefined
  readonly safetyMs?: number | undefined
  /** No faults at all. */
  readonly isCalm?: boolean | undefined
}

export function drawSwarm(prng: Prng, choice: SwarmChoice = {}): Swarm {
  const isCalm = choice.isCalm === true
  const often = (low: number, high: number): number => prng.between(low, high)
  /** In this share of the seeds, each so often; otherwise, or when all is calm, never. */
  const sometimes = (percent: number, low: number, high: number): number => {
    const isOn = prng.chance(percent, 100)
    const everyMs = often(low, high)
    return isOn && !isCalm ? everyMs : NEVER
  }
  const rate = (percent: number, high: number): number => {
    const isOn = prng.chance(percent, 100)
    const value = prng.between(1, high)
    return isOn && !isCalm ? value : 0
  }
  const electionTimeoutMs = prng.between(15, 40) * 10
  const nodes = prng.pick([1, 2, 3, 3, 3, 3, 3, 3, 4, 5, 5, 5, 7])
  return {
    nodes: choice.nodes ?? nodes,
    clients: prng.pick([1, 2, 3, 4, 6, 8, 12, 16]),
    keys: prng.pick([1, 2, 3, 5, 8, 20]),
    safetyMs: choice.safetyMs ?? prng.between(15_000, 30_000),
    isRoughStart: prng.chance(1, 5) && !isCalm,
    network: {
      delayMsMin: prng.pick([0, 0.1, 1, 5]),
      delayMsMean: prng.pick([0.5, 2, 10, 40]),
      lossPerMille: rate(50, 150),
      duplicatePerMille: rate(50, 200),
      breakEveryMs: sometimes(50, 500, 10_000),
      partitionEveryMs: sometimes(60, 1_500, 10_000),
      clogEveryMs: sometimes(40, 1_000, 8_000),
      allowsOneWay: prng.chance(1, 2),
      lateAnswerPerMille: rate(50, 300),
    },
    process: {
      crashEveryMs: sometimes(75, 1_500, 12_000),
      restartMsMax: prng.pick([500, 2_000, 8_000]),
      pauseEveryMs: sometimes(50, 1_000, 8_000),
      pauseMsMax: prng.pick([50, 300, 1_000, 4_000]),
      stallEveryMs: sometimes(25, 8_000, 40_000),
      deposeEveryMs: sometimes(70, 2_000, 8_000),
      massCrashEveryMs: sometimes(30, 8_000, 30_000),
      transferEveryMs: sometimes(40, 1_000, 8_000),
      wipeEveryMs: sometimes(20, 5_000, 30_000),
      driftPerMille: prng.pick([0, 0, 5, 50]),
      lateTimerMsMax: prng.pick([0, 0, 0, 5, 40]),
    },
    disk: {
      writeMsMin: prng.pick([0.05, 0.1, 1]),
      writeMsMean: prng.pick([0.2, 1, 5, 20]),
      readMsMax: prng.pick([0, 0.5, 5]),
      stallEveryMs: sometimes(40, 2_000, 10_000),
      errorPer10000: rate(30, 20),
      fullEveryMs: sometimes(25, 4_000, 20_000),
      flipEveryMs: sometimes(20, 8_000, 30_000),
    },
    node: {
      heartbeatMs: prng.pick([50, 50, 100]),
      electionTimeoutMs,
      appendBytesMax: prng.pick([1, 300, 2_000, 1_048_576]),
      inflightMessagesMax: prng.pick([1, 4, 64, 512]),
      retainEntries: prng.pick([4, 4, 4, 16, 64, 1_000]),
      retainBytes: prng.pick([1_000, 1_000, 4_000, 16_000, 100_000]),
      retainFactor: prng.pick([1, 10, 100]),
      segmentBytes: prng.pick([8, 16, 32, 64]) * 1_024,
      historyRevisions: prng.pick([10, 50, 300, 100_000]),
      batchBytes: prng.pick([256, 2_000, 20_000]),
      batchDelayMs: prng.pick([5, 30, 100]),
      tableBytesMax: prng.pick([2_000, 20_000, 1_000_000]),
      cacheBytesMax: prng.pick([0, 2_000, 1_000_000]),
      watcherLagBytesMax: prng.pick([100, 1_000, 10_000, 1_048_576]),
      watchWindowRevisionsMax: prng.pick([1, 8, 4_096]),
    },
    load: {
      thinkMsMean: prng.pick([20, 80, 300]),
      timeoutMsMin: prng.pick([20, 200, 1_000]),
      timeoutMsMax: prng.pick([1_000, 3_000, 5_000]),
      valueBytesMax: prng.pick([0, 0, 20, 20, 200, 200, 2_000, 6_000]),
      readPercent: prng.pick([10, 40, 70]),
      conditionPercent: prng.pick([0, 20, 60]),
      deletePercent: prng.pick([0, 10, 30]),
      deathPerMille: rate(40, 20),
      idlePercent: prng.pick([0, 0, 20, 60]),
      libraryPercent: prng.pick([0, 50, 100]),
      mixedPercent: prng.pick([0, 10, 30]),
      watchers: prng.pick([0, 1, 3]),
      readers: prng.pick([0, 1, 2]),
      programs: prng.pick([0, 0, 1, 2]),
      isLong: prng.chance(1, 50),
    },
    evidence: {
      falseEveryMs: sometimes(40, 300, 5_000),
    },
  }
}
