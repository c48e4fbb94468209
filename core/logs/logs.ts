/**
 * Logs: whose they are, where they lie, and who has still to read them.
 *
 * A shim writes the log of its container; nobody else is on the way of a line. A *follower* is a plugin that carries lines
 * elsewhere: a log sink, or the log drivers. It reads the files itself and keeps its *place* in a note beside them, so
 * whichever process is killed, it goes on where it was. A *source* is a log as a follower sees it.
 *
 * When a container is removed its log *departs*: it is moved aside, out of the container's way, until every follower has
 * read it to the end or gave no sign for ten minutes (departed.ts). So a container that lives for a moment only is not missed.
 *
 * Example: `docker run --rm --log-driver syslog busybox echo hello`. The container's folder is gone when the command has
 * ended; the driver's process has just been started, is told of the departed log, sends "hello", and the log goes.
 */
import type { Source } from '#api/gen/gantry/services/logs/v1/logs.ts'
import type { Container } from '#core/containers/containers.ts'

export interface Logs {
  /**
   * Every log there is, and again whenever its state changes, until `signal` fires. From now on `follower` is waited for.
   * `driversOnly`: logs whose driver carries lines elsewhere.
   */
  follow(follower: string, driversOnly: boolean, signal: AbortSignal): AsyncIterable<Source>

  /** `follower` has read a departed log to its end. One that is gone: success. */
  done(follower: string, file: string): Promise<void>

  /** The container's record is about to go: notes who has still to read its log, so that a crash loses neither. */
  departing(ns: string, container: Container): Promise<void>

  /** The record is gone: its folder goes, at once or when its log has been read. */
  depart(ns: string, id: string): Promise<void>
}

export { LogBook, type LogBookParts } from './log-book.ts'
export { logsService } from './service.ts'
export { driverFollower, noteIn, subjectOf } from './sources.ts'
