/**
 * Restarts: containers that are started again when they have ended, by one of two customs that never meet in one container.
 *
 * - *Docker's*, for containers the core launched with `ContainerConfig.restart_policy`: after a wait that doubles from
 *   100 ms to a minute (and begins anew after a run of ten seconds); not after somebody stopped it, until somebody starts
 *   it; when gantryd starts, what should run is started.
 * - *containerd's*, for any record with the label `containerd.io/restart.status`: `running` or `stopped` is what the
 *   monitor sees to, under the `policy` (empty: always), counting in `count`. Two starts of a container are an interval
 *   (default 10 s) apart, and a client has that long to start what it labelled.
 *
 * Both follow events and set timers; nothing is polled. A first process that was killed through the API with a signal that
 * means the end was stopped by hand. What must outlive this daemon (counts, stops) is recorded before it is acted on.
 */
export { RestartMonitor, type RestartMonitorParts } from './monitor.ts'
