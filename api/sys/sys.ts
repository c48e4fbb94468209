/**
 * The system calls Node lacks, in native code (`shim-native/sys`). With `trees.ts` and `btrfs.ts` the
 * only modules that touch the addon.
 *
 * Every call that can block returns a promise and runs on a thread of its own: not on the JavaScript
 * thread and not in libuv's pool, so a slow unmount delays no file access. A failed system call rejects
 * with a {@link SysError}, shaped like the errors of `node:fs`. Paths go to the kernel as they are;
 * a relative one counts from the process' working directory.
 */
import { addon } from './addon.ts'
import { cancellable } from './cancellable.ts'
import type {
  ApplyLayerRequest,
  ApplyLayerResult,
  CreateLayerRequest,
  CreateLayerResult,
  IptablesTable,
  Mount,
  NetlinkOptions,
  PeerCredentials,
  PipedProcess,
  SpawnRequest,
  SpawnResult,
  UnmountOptions,
  Usage,
} from './types.ts'

export { isSysError, type SysError } from './sys-error.ts'
export type * from './types.ts'

/**
 * Performs mounts in order, with containerd's semantics (`mount.All`): the `ro` of a bind mount is applied
 * by a remount, propagation (`rslave` …) after it, and overlay options longer than a page are shortened by
 * relative lower directories. When one fails, those already done by this call are undone.
 * Targets must exist. `loop` and `uidmap=`/`gidmap=` are refused with EOPNOTSUPP.
 */
export function mount(mounts: Mount[], targetRoot: string): Promise<void> {
  return addon().mount(mounts, targetRoot)
}

/**
 * Takes away everything mounted at `path`, a stack of mounts included. Nothing mounted there, or no such path:
 * success. A busy mount is tried for 500 ms, then EBUSY.
 */
export function unmount(path: string, options: UnmountOptions = {}): Promise<void> {
  return addon().unmount(path, options)
}

/**
 * Makes a network namespace with `lo` up and pins it to `pinPath` (a file, created; its folder must exist).
 * A namespace that is pinned there already is left alone: success.
 */
export function createNetns(pinPath: string): Promise<void> {
  return addon().createNetns(pinPath)
}

/** Unpins (detach) and removes the pin file. Missing: success. The kernel frees the namespace when its last user is gone. */
export function removeNetns(pinPath: string): Promise<void> {
  return addon().removeNetns(pinPath)
}

/**
 * Sends `messages` (one or more encoded nlmsgs, each with its own non-zero `nlmsg_seq`) as one datagram on a netlink
 * socket, and waits until each request that asked for it is answered: an ACK for NLM_F_ACK, the end of the dump
 * for NLM_F_DUMP. A GET must therefore carry one of both. nfnetlink batch begin and end need no ACK.
 * Resolves with the answers, one nlmsg each (header included), without ACK, DONE and NOOP.
 * A dump that changed while it ran is repeated (5 times, then EINTR).
 * Rejects with the first NLMSG_ERROR: `code`, `extAck`, `seq`. ENOBUFS: answers were lost, the state is unknown.
 */
export function netlinkRequest(
  protocol: number,
  messages: Uint8Array,
  options: NetlinkOptions = {},
): Promise<Buffer[]> {
  return addon().netlinkRequest(protocol, messages, options)
}

/** A running subscription; does not keep the process alive. */
export interface Subscription extends Disposable {
  close(): void
}

/**
 * Calls back with the nlmsgs of each datagram sent to the multicast `groups` (numbers as RTNLGRP_LINK, not bit masks);
 * with `types`, only with messages of these (nlmsg_type): the others cost next to nothing.
 * `lost`: the kernel dropped messages (ENOBUFS) before these; read the state anew.
 */
export function netlinkSubscribe(
  protocol: number,
  groups: number[],
  onMessages: (messages: Buffer[], lost: boolean) => void,
  options: { netns?: string; types?: readonly number[] } = {},
): Subscription {
  const handle = addon().netlinkSubscribe(protocol, groups, onMessages, options.netns, options.types)
  const close = () => handle.close()
  return { close, [Symbol.dispose]: close }
}

/**
 * How large a table of legacy iptables (4) or ip6tables (6) is, in this process' network namespace; some microseconds.
 * Loads the table's module, if its family has any table yet. ENOENT: no such table; ENOPROTOOPT: none of the family.
 */
export function iptablesTable(family: 4 | 6, table: string): IptablesTable {
  return addon().iptablesTable(family, table)
}

/**
 * A bound socket of another network namespace, for `net.Server.listen({ fd })` or `dgram.Socket.bind({ fd })`, which own
 * the descriptor from then on. TCP ones listen already; UDP ones take bursts of some thousand datagrams.
 * EADDRINUSE; ENOENT, EINVAL: no namespace at `netns`. The namespace lives at least as long as the socket.
 */
export function openServerSocket(at: {
  netns: string
  protocol: 'tcp' | 'udp'
  address: string
  port: number
}): Promise<number> {
  return addon().openServerSocket(at.netns, at.protocol, at.address, at.port)
}

/**
 * Unpacks a layer in one pass: decompress, hash, write. Reads `source` to its end, whatever follows the archive.
 * The caller compares `diffId`. On failure or abort the target holds part of the layer: remove it.
 * No path of the archive reaches outside the target, not through `..` (EUNSAFE_ARCHIVE), absolute names
 * (taken from the root) or symbolic links (resolved inside the root).
 */
export function applyLayer(request: ApplyLayerRequest, signal?: AbortSignal): Promise<ApplyLayerResult> {
  return cancellable(signal, token => addon().applyLayer(request, token))
}

/**
 * Writes the layer that turns one tree into another: the reverse of {@link applyLayer}. Entries are sorted by path;
 * the same trees give the same bytes.
 */
export function createLayer(request: CreateLayerRequest, signal?: AbortSignal): Promise<CreateLayerResult> {
  return cancellable(signal, token => addon().createLayer(request, token))
}

/** Disk usage below `path`, as du(1): allocated bytes, hard links once, other file systems left out. */
export function statUsage(path: string): Promise<Usage> {
  return addon().statUsage(path)
}

/** With `followSymlinks: false` (the default) the attribute is the link's own. */
export interface XattrOptions {
  followSymlinks?: boolean
}

export function setXattr(
  path: string,
  name: string,
  value: Uint8Array | string,
  options: XattrOptions = {},
): Promise<void> {
  const bytes = typeof value === 'string' ? Buffer.from(value) : value
  return addon().setXattr(path, name, bytes, options.followSymlinks ?? false)
}

/** Rejects with ENODATA when the attribute is not there. */
export function getXattr(path: string, name: string, options: XattrOptions = {}): Promise<Buffer> {
  return addon().getXattr(path, name, options.followSymlinks ?? false)
}

export function listXattr(path: string, options: XattrOptions = {}): Promise<string[]> {
  return addon().listXattr(path, options.followSymlinks ?? false)
}

/** Rejects with ENODATA when the attribute is not there. */
export function removeXattr(path: string, name: string, options: XattrOptions = {}): Promise<void> {
  return addon().removeXattr(path, name, options.followSymlinks ?? false)
}

/** mknod(2). `mode` holds type and permissions (`S_IFCHR | 0o600`); the umask does not apply to the permissions. */
export function mknod(
  path: string,
  mode: number,
  device: { major: number; minor: number } = { major: 0, minor: 0 },
): Promise<void> {
  return addon().mknod(path, mode, device.major, device.minor)
}

/**
 * Opens `path` as a process whose root directory is `root` would: no symbolic link leads out of it, whoever changes one
 * meanwhile (openat2(2), RESOLVE_IN_ROOT). Answers a file descriptor, which the caller closes; `/proc/self/fd/<n>/name`
 * reaches what lies directly in a directory. `flags` as of open(2).
 */
export function openInRoot(root: string, path: string, flags: number, mode = 0): Promise<number> {
  return addon().openInRoot(root, path, flags, mode)
}

/** Flags of {@link renameat2}: renameat2(2). */
export const RENAME_NOREPLACE = 1
export const RENAME_EXCHANGE = 2
export const RENAME_WHITEOUT = 4

/** Rename with flags; with RENAME_NOREPLACE an existing `to` is EEXIST. */
export function renameat2(from: string, to: string, flags: number): Promise<void> {
  return addon().renameat2(from, to, flags)
}

/** Writes out the whole file system that holds `path`. */
export function syncfs(path: string): Promise<void> {
  return addon().syncfs(path)
}

/** Makes the entries of a directory durable (what a rename or a create in it needs). */
export function fsyncDir(path: string): Promise<void> {
  return addon().fsyncDir(path)
}

/**
 * Whether the process runs (a zombie does not). With `startTime` (from {@link processStartTime}) a process that
 * merely got the same pid later does not count.
 */
export function processAlive(pid: number, startTime?: bigint): boolean {
  return addon().processAlive(pid, startTime)
}

/** Start of the process in clock ticks since boot (field 22 of /proc/PID/stat): with the pid it names a process for good. */
export function processStartTime(pid: number): bigint {
  return addon().processStartTime(pid)
}

/**
 * Resolves true once the process (anybody's, not only a child) has ended, false when `timeoutMs` passed first.
 * Watches a pidfd: no polling.
 */
export function waitProcessExit(
  pid: number,
  options: { startTime?: bigint; timeoutMs?: number } = {},
): Promise<boolean> {
  return addon().waitProcessExit(pid, options.startTime, options.timeoutMs ?? -1)
}

/** Who is at the other end of a connected unix socket (SO_PEERCRED); `fd` as in `socket._handle.fd`. */
export function peerCredentials(fd: number): PeerCredentials {
  return addon().peerCredentials(fd)
}

/**
 * Sends datagrams to a unix socket, in order. A receiver whose queue is full is waited for, five seconds for each, then
 * EAGAIN; nobody there: ECONNREFUSED or ENOENT. Those before the one that failed have been sent.
 */
export function sendDatagrams(path: string, datagrams: Uint8Array[]): Promise<void> {
  return addon().sendDatagrams(path, datagrams)
}

/**
 * Runs a short-lived program, such as a shim's `start`, and resolves when it has ended, with what it printed.
 * It is started as by vfork(2): the cost does not grow with our memory. It gets a process group of its own, default signal handling and
 * no file descriptor but 0, 1 and 2. A descendant that keeps stdout open does not delay the answer.
 * A program that cannot be started: the errno of execve (ENOENT, EACCES), `path` is `argv[0]`.
 */
export function spawnDetached(request: SpawnRequest): Promise<SpawnResult> {
  return addon().spawnDetached(request)
}

/**
 * Starts a program that goes on by itself, as cheaply as {@link spawnDetached}: Node's own `spawn` copies our page tables, on
 * the main thread. It leads a session of its own, its standard error is /dev/null. Its end is for {@link reapChild}.
 */
export function spawnPiped(request: Pick<SpawnRequest, 'argv' | 'env' | 'cwd'>): Promise<PipedProcess> {
  return addon().spawnPiped(request)
}

/**
 * The exit code (128 + signal when killed) of a child that has ended, which is forgotten with that; undefined while it goes on.
 * ECHILD: no child of ours, or reaped before. Never waits; SIGCHLD says when to ask. Not for what Node has spawned.
 */
export function reapChild(pid: number): number | undefined {
  return addon().reapChild(pid) ?? undefined
}

/** An exclusive or shared flock(2); the kernel drops it when the process ends. */
export interface FileLock extends Disposable {
  release(): void
}

/**
 * Locks a file (created 0600 if missing, never removed). Without `wait`, a lock held by somebody else gives `null`.
 */
export async function lockFile(
  path: string,
  options: { shared?: boolean; wait?: boolean } = {},
): Promise<FileLock | null> {
  const handle = await addon().lockFile(path, options.shared ?? false, options.wait ?? false)
  if (!handle) return null
  const release = () => handle.release()
  return { release, [Symbol.dispose]: release }
}
