// Finds and loads the native addon. Only the modules of this folder import this file.
import { existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type {
  ApplyLayerRequest,
  ApplyLayerResult,
  CopyResult,
  CreateLayerRequest,
  CreateLayerResult,
  IptablesTable,
  Mount,
  NetlinkOptions,
  PeerCredentials,
  PipedProcess,
  SpawnRequest,
  SpawnResult,
  SubvolumeInfo,
  SubvolumeUsage,
  UnmountOptions,
  Usage,
} from './types.ts'

/** What `gantry-sys.node` exports. Callers use the functions of sys.ts, which carry the contracts. */
export interface Addon {
  mount(mounts: Mount[], targetRoot: string): Promise<void>
  unmount(path: string, options: UnmountOptions): Promise<void>
  createNetns(pinPath: string): Promise<void>
  removeNetns(pinPath: string): Promise<void>
  netlinkRequest(protocol: number, messages: Uint8Array, options: NetlinkOptions): Promise<Buffer[]>
  netlinkSubscribe(
    protocol: number,
    groups: number[],
    onMessages: (messages: Buffer[], lost: boolean) => void,
    netns: string | undefined,
    types: readonly number[] | undefined,
  ): { close(): void }
  openServerSocket(netns: string, protocol: 'tcp' | 'udp', address: string, port: number): Promise<number>
  sendDatagrams(path: string, datagrams: Uint8Array[]): Promise<void>
  iptablesTable(family: 4 | 6, table: string): IptablesTable
  applyLayer(request: ApplyLayerRequest, cancel: CancelToken): Promise<ApplyLayerResult>
  createLayer(request: CreateLayerRequest, cancel: CancelToken): Promise<CreateLayerResult>
  CancelToken: new () => CancelToken
  statUsage(path: string): Promise<Usage>
  copyTree(from: string, to: string, cancel: CancelToken): Promise<CopyResult>
  removeTree(path: string): Promise<void>
  createSubvolume(path: string): Promise<void>
  snapshotSubvolume(source: string, path: string, readOnly: boolean): Promise<void>
  removeSubvolume(path: string): Promise<void>
  subvolumeInfo(path: string): Promise<SubvolumeInfo>
  setSubvolumeReadOnly(path: string, readOnly: boolean): Promise<void>
  subvolumeUsage(path: string): Promise<SubvolumeUsage>
  enableQuota(path: string): Promise<void>
  setXattr(path: string, name: string, value: Uint8Array, followSymlinks: boolean): Promise<void>
  getXattr(path: string, name: string, followSymlinks: boolean): Promise<Buffer>
  listXattr(path: string, followSymlinks: boolean): Promise<string[]>
  removeXattr(path: string, name: string, followSymlinks: boolean): Promise<void>
  mknod(path: string, mode: number, major: number, minor: number): Promise<void>
  renameat2(from: string, to: string, flags: number): Promise<void>
  openInRoot(root: string, path: string, flags: number, mode: number): Promise<number>
  syncfs(path: string): Promise<void>
  fsyncDir(path: string): Promise<void>
  processAlive(pid: number, startTime: bigint | undefined): boolean
  processStartTime(pid: number): bigint
  waitProcessExit(pid: number, startTime: bigint | undefined, timeoutMs: number): Promise<boolean>
  peerCredentials(fd: number): PeerCredentials
  spawnDetached(request: SpawnRequest): Promise<SpawnResult>
  spawnPiped(request: SpawnRequest): Promise<PipedProcess>
  reapChild(pid: number): number | null
  lockFile(path: string, shared: boolean, wait: boolean): Promise<{ release(): void } | null>
}

/** Opaque switch that stops a running layer job. */
export interface CancelToken {
  cancel(): void
}

const FILE = 'gantry-sys.node'
let loaded: Addon | undefined

/** The addon, loaded at the first call so that a program that needs no system call pays nothing. */
export function addon(): Addon {
  loaded ??= createRequire(import.meta.url)(locate(dirname(fileURLToPath(import.meta.url)))) as Addon
  return loaded
}

/** From source the addon is in `<repo>/build/native`; a bundle in `build/bin` finds the same folder one level up. */
function locate(from: string): string {
  const named = process.env.GANTRY_SYS_ADDON
  if (named) return named
  for (let dir = from; ; dir = dirname(dir)) {
    for (const folder of ['native', 'build/native']) {
      const candidate = join(dir, folder, FILE)
      if (existsSync(candidate)) return candidate
    }
    if (dir === dirname(dir)) break
  }
  throw new Error(
    `${FILE} is in no build/native folder at or above ${from}: run "npm run build", or set GANTRY_SYS_ADDON to its path`,
  )
}
